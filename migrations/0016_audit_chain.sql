-- History, chained: every event gets a number in its chain and a hash over all before it. There is one chain a workspace, and
-- one of the installation, whose id is nil.

create table audit_chain (
    chain        uuid not null,
    seq          bigint not null check (seq > 0),
    event_id     uuid not null unique references audit_events (id),
    -- The event's, for periods.
    at           timestamptz not null,
    event_digest bytea not null check (length(event_digest) = 32),
    entry_hash   bytea not null check (length(entry_hash) = 32),
    primary key (chain, seq)
);
create index audit_chain_at on audit_chain (chain, at, seq);

-- Events that are not chained yet. Written by a trigger, so that no code can forget to; it serialises nobody.
create table audit_unchained (
    chain    uuid not null,
    event_id uuid not null,
    primary key (chain, event_id)
);

create function queue_for_chain() returns trigger language plpgsql as $$
begin
    insert into audit_unchained (chain, event_id)
    select coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'), id
    from added;
    return null;
end $$;

create trigger audit_events_queued after insert on audit_events
    referencing new table as added
    for each statement execute function queue_for_chain();

insert into audit_unchained (chain, event_id)
select coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'), id
from audit_events;

-- The keys that checkpoints are signed with: the public halves. The private ones are files of the server.
create table audit_keys (
    id         text primary key,
    public_key bytea not null unique check (length(public_key) = 32),
    created_at timestamptz not null default now(),
    retired_at timestamptz
);

create function refuse_key_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.retired_at is null and new.retired_at is not null
        and (new.id, new.public_key, new.created_at) = (old.id, old.public_key, old.created_at) then
        return new;
    end if;
    raise exception 'audit_keys is append-only, but for retiring a key';
end $$;

create trigger audit_keys_append_only before update or delete on audit_keys
    for each row execute function refuse_key_change();

create table audit_checkpoints (
    id        bigint generated always as identity primary key,
    chain     uuid not null,
    seq       bigint not null,
    head      bytea not null check (length(head) = 32),
    at        timestamptz not null,
    -- Null where there was no key.
    key_id    text references audit_keys (id),
    signature bytea,
    foreign key (chain, seq) references audit_chain (chain, seq),
    check ((key_id is null) = (signature is null))
);
create index audit_checkpoints_chain on audit_checkpoints (chain, seq desc, id desc);
create index audit_checkpoints_key on audit_checkpoints (key_id);

create trigger audit_chain_append_only before update or delete on audit_chain
    for each statement execute function refuse_change();
create trigger audit_checkpoints_append_only before update or delete on audit_checkpoints
    for each statement execute function refuse_change();

-- Emptying a table is a change of it, too.
create trigger audit_chain_not_emptied before truncate on audit_chain
    for each statement execute function refuse_change();
create trigger audit_checkpoints_not_emptied before truncate on audit_checkpoints
    for each statement execute function refuse_change();
create trigger audit_keys_not_emptied before truncate on audit_keys
    for each statement execute function refuse_change();
create trigger audit_events_not_emptied before truncate on audit_events
    for each statement execute function refuse_change();
create trigger decisions_not_emptied before truncate on decisions
    for each statement execute function refuse_change();
create trigger policies_not_emptied before truncate on policies
    for each statement execute function refuse_change();
create trigger alias_moves_not_emptied before truncate on alias_moves
    for each statement execute function refuse_change();
create trigger model_cards_not_emptied before truncate on model_cards
    for each statement execute function refuse_change();
create trigger model_version_files_not_emptied before truncate on model_version_files
    for each statement execute function refuse_change();
