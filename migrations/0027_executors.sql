-- Where tries of steps ran, what they used meanwhile, and their logs once they have ended.

alter table step_attempts
    -- 'process', 'docker', 'kubernetes'; null for one that did not come so far.
    add column executor          text,
    -- The image that its container was made from, by digest.
    add column image             text,
    -- What kept it from the rest of the machine, in words.
    add column sandbox           text,
    add column peak_memory_bytes bigint;

-- What a try used, piece by piece: of a few seconds at first, longer the longer it takes.
create table step_samples (
    attempt_id    uuid not null references step_attempts (id),
    at            timestamptz not null,
    seconds       real not null,
    -- Processors.
    cpu_mean      real not null,
    cpu_max       real not null,
    -- Bytes.
    memory_mean   bigint not null,
    memory_max    bigint not null,
    read_bytes    bigint not null,
    written_bytes bigint not null,
    -- [{uuid, busy, memory_bytes}, …]
    gpus          jsonb not null default '[]',
    primary key (attempt_id, at)
);

-- The log of a try that has ended, once it has left log_chunks: frames of a blob that may hold the logs of others too.
create table log_archives (
    attempt_id uuid primary key references step_attempts (id),
    digest     text not null,
    lines      bigint not null,
    -- [[first line, offset, bytes], …]; each frame is what stood in log_chunks, compressed with zstd.
    frames     jsonb not null
);
create index log_archives_blob on log_archives (digest);
-- Every log that has not left begins here.
create index log_chunks_begin on log_chunks (attempt_id) where first_line = 1;
