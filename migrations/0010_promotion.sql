-- Who stands behind a step, promotions by state, and two more tables that are only ever added to.

-- The person whose run of a pipeline asked, when a step did: they may not decide on it. Null when a person asked
-- themselves, and when the run was started by a trigger.
alter table promotions add column on_behalf_of uuid references users (id);
create index promotions_behalf on promotions (on_behalf_of);

-- The same of a run that a step of another run started.
alter table pipeline_runs add column on_behalf_of uuid references users (id);
create index pipeline_runs_behalf on pipeline_runs (on_behalf_of);

-- Whoever sweeps looks at those that await approval as well, and takes up where the last round stopped.
drop index promotions_moving;
create index promotions_moving on promotions (state, id)
    where state in ('gates_running', 'awaiting_approval', 'approved', 'deploying');

create trigger metrics_append_only before update or delete on metrics
    for each statement execute function refuse_change();
create trigger model_version_files_append_only before update or delete on model_version_files
    for each statement execute function refuse_change();

-- environments.protected is not read any more: every environment protects its alias. A later release drops it.
