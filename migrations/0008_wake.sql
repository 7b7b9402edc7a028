-- The job queue's own claim plans a join over all jobs it ever had; this one takes the first free rows by index.
create or replace function apalis.get_jobs(worker_id text, v_job_type text, v_job_count integer default 5)
returns setof apalis.jobs
language sql
volatile
as $$
    update apalis.jobs
    set status = 'Queued', lock_by = worker_id, lock_at = now()
    where id = any (array(
        select id
        from apalis.jobs
        where (status = 'Pending' or (status = 'Failed' and attempts < max_attempts))
          and run_at < now()
          and job_type = v_job_type
        order by priority desc, run_at asc
        limit v_job_count
        for update skip locked
    ))
    returning *;
$$;
