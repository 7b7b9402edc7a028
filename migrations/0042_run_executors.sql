-- A run has the executors of pools that it was started with, for steps that come to be later and for doing it again. Runs from
-- before have those of today, which is what they would have got.
alter table pipeline_runs add column executors jsonb not null default '{}';
update pipeline_runs
set executors = pools.executors
from (select jsonb_object_agg(pool, executor) as executors from pool_executors) pools
where pools.executors is not null;
