-- What a policy lets nobody do alone, besides promoting: asked for, agreed to, done in the transaction of the last yes.
create table change_requests (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    number       bigint not null,
    change       jsonb not null,
    -- Names of those that it is about, for whoever does not see all of them; empty for any.
    environments text[] not null,
    digest       text not null,
    state        text not null check (state in
        ('awaiting_approval', 'applied', 'rejected', 'expired', 'withdrawn', 'invalidated')),
    state_reason text not null default '',
    requested_by uuid references users (id),
    on_behalf_of uuid references users (id),
    requester    text not null,
    comment      text not null,
    expires_at   timestamptz not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    unique (workspace_id, number)
);
create index change_requests_requested_by on change_requests (requested_by);
create index change_requests_on_behalf_of on change_requests (on_behalf_of);
create index change_requests_open on change_requests (expires_at) where state = 'awaiting_approval';
-- The same is asked for once at a time.
create unique index change_requests_same on change_requests (workspace_id, digest) where state = 'awaiting_approval';

-- What was agreed on stays what it was.
create function refuse_other_change() returns trigger language plpgsql as $$
begin
    raise exception 'what a change request asks for is never changed';
end
$$;
create trigger change_requests_fixed before update on change_requests
    for each row
    when ((old.id, old.workspace_id, old.number, old.change, old.environments, old.digest, old.requested_by,
           old.on_behalf_of, old.requester, old.comment, old.created_at)
          is distinct from
          (new.id, new.workspace_id, new.number, new.change, new.environments, new.digest, new.requested_by,
           new.on_behalf_of, new.requester, new.comment, new.created_at))
    execute function refuse_other_change();
create trigger change_requests_stay before delete on change_requests
    for each statement execute function refuse_change();

-- Taken out by somebody, with nothing in its place: nobody goes back to that.
alter table deployments add column taken_out boolean not null default false;

-- A decision is on a promotion or on a change request.
alter table decisions alter column promotion_id drop not null;
alter table decisions add column change_request_id uuid references change_requests (id);
alter table decisions add check (num_nonnulls(promotion_id, change_request_id) = 1);
alter table decisions add unique (change_request_id, user_id, subject_digest, verdict);
