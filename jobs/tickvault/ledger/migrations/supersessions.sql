-- Packages that cannot be read any more, or that a target refuses, and the ones that were read in their place: nobody waits
-- for the former. Kept with the latter, so that it does not matter which of the two is noted first.
ALTER TABLE data_platform.packages ADD COLUMN supersedes text[];
