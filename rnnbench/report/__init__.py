"""Reports: a run or a sweep on one HTML page that needs nothing from elsewhere."""
