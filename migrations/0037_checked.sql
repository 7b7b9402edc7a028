-- Whoever waits for what a version of a dataset is found to be: triggers that a version starts only when it passed.

alter table triggers
    add column checked boolean not null default false,
    add constraint triggers_checked check (not checked or kind = 'dataset');

-- How many runs led to the run that made the version, one by the end of the other; none when no run made it. What waits for
-- the check of a version is started when nobody knows any more who made it.
alter table dataset_versions add column run_depth integer;

-- `checks_state` is from now on what was found last, also while `state` is 'waiting' because it is found out again.
