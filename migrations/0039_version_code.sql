-- The commit that a version of a pipeline's file was stored from the last time, and what was changed after it: for runs that
-- nobody starts from a repository. {repository, commit, branch, is_dirty, patch, left_out}.
alter table pipeline_versions add column code jsonb;
