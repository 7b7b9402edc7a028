-- What the pages of workers and of versions of datasets say.

-- What keeps the processes that a worker starts from the rest of its machine, in words; none when it has not said so.
alter table workers add column sandbox text;

-- The step that made a version.
create table dataset_version_makers (
    version_id uuid primary key references dataset_versions (id),
    step_id    uuid not null references steps (id)
);
create index dataset_version_makers_step on dataset_version_makers (step_id);
-- Those that steps have made, by what they said of it. A step whose output was a version already made none.
insert into dataset_version_makers (version_id, step_id)
select distinct on (v.id) v.id, s.id
from steps s
cross join lateral jsonb_array_elements(s.outputs) as o (output)
join pipeline_runs r on r.id = s.run_id
join pipelines p on p.id = r.pipeline_id
join versioned_datasets d on d.workspace_id = r.workspace_id and d.name = o.output #>> '{version,name}'
join dataset_versions v on v.dataset_id = d.id and v.number = (o.output #>> '{version,number}')::integer
where o.output #>> '{version,of}' = 'dataset'
    and v.message = p.name || ' #' || r.number || ', step ' || s.name
order by v.id, s.id;
