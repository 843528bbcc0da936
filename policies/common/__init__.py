"""What more than one policy family needs: conventions, orientations, places, dtypes."""
