"""What several sources share; a package, so that none of it is taken for a source."""
