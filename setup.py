"""Maps the top-level folders to import names; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

ROOTS = {"sfbench": "sfbench", "sfbench_suites": "suites", "sfbench_policies": "policies"}

packages = [
    f"{name}.{found}" if found else name
    for name, folder in ROOTS.items()
    for found in ["", *find_packages(folder)]
]
setup(packages=packages, package_dir=dict(ROOTS))
