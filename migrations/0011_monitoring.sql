-- What the traffic of a deployment is compared with: fixed when it goes live, or when a check first finds it. Whoever writes
-- to the version's run later does not change what is watched.
alter table deployments
    add column reference_path text,
    add column reference_digest text,
    add constraint deployments_reference check ((reference_path is null) = (reference_digest is null));
