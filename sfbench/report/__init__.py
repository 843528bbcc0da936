"""From rows to tables, figures and a page. A pure function of the rows."""
