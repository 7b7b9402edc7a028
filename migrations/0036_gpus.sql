-- Graphics processors that workers hand out, each to one step at a time.

create table gpus (
    -- As its driver names it for ever: 'GPU-…', 'MIG-…'.
    uuid text primary key,
    -- What it is, as the last worker said that knew; empty before that.
    name text not null
);

-- Those that a worker hands out. Several workers may name the same.
alter table workers add column gpus text[] not null default '{}';

-- How many a step gets from its worker; none of a step of a cluster, which hands out its own.
alter table steps add column gpus smallint not null default 0;

-- Those that a try has, or had. They are held as long as its step runs with its fence.
alter table step_attempts add column gpus text[] not null default '{}';

-- Steps that are open already. Names hold no slash.
update steps s
set gpus = (v.spec #>> string_to_array('steps/' || array_to_string(s.place, '/steps/') || '/resources/gpu', '/'))::smallint
from pipeline_runs r
join pipeline_versions v on v.id = r.version_id
where r.id = s.run_id
    and s.state in ('waiting', 'ready', 'running')
    and s.kind = 'command'
    and s.executor <> 'kubernetes'
    and v.spec #>> string_to_array('steps/' || array_to_string(s.place, '/steps/') || '/resources/gpu', '/') is not null;

-- A lane is for steps that want the same number, so that none waits behind one that wants more than there are.
drop index steps_ready;
create index steps_ready on steps (pool, executor, gpus, workspace_id, priority, next_at)
    where state = 'ready' and blocked_by is null;
create index steps_with_gpus on steps (fence) where state = 'running' and gpus > 0;
