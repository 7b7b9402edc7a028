-- What steps wait for that no worker runs: people, and runs of other pipelines.

alter table steps drop constraint steps_kind_check;
alter table steps add constraint steps_kind_check check (kind in ('command', 'steps', 'many', 'approval', 'pipeline'));

create table step_approvals (
    step_id      uuid primary key references steps (id),
    run_id       uuid not null references pipeline_runs (id),
    workspace_id uuid not null references workspaces (id),
    description  text not null,
    -- Who is asked for what, what they are shown, and the digest of both.
    asks         jsonb not null,
    inputs       jsonb not null,
    digest       text not null,
    state        text not null check (state in ('awaiting_approval', 'approved', 'rejected', 'expired', 'cancelled')),
    state_reason text not null default '',
    requested_by uuid references users (id),
    on_behalf_of uuid references users (id),
    requester    text not null,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz
);
create index step_approvals_run on step_approvals (run_id);
create index step_approvals_workspace on step_approvals (workspace_id, created_at desc);
create index step_approvals_requested_by on step_approvals (requested_by);
create index step_approvals_on_behalf_of on step_approvals (on_behalf_of);
create index step_approvals_open on step_approvals (expires_at) where state = 'awaiting_approval';

-- What was agreed on stays what it was.
create function refuse_other_approval() returns trigger language plpgsql as $$
begin
    raise exception 'what an approval asks for is never changed';
end
$$;
create trigger step_approvals_fixed before update on step_approvals
    for each row
    when ((old.step_id, old.run_id, old.asks, old.inputs, old.digest, old.requested_by, old.on_behalf_of, old.requester)
          is distinct from
          (new.step_id, new.run_id, new.asks, new.inputs, new.digest, new.requested_by, new.on_behalf_of, new.requester))
    execute function refuse_other_approval();
create trigger step_approvals_stay before delete on step_approvals
    for each statement execute function refuse_change();

-- A decision is on a promotion, on a change request, or on a step.
alter table decisions
    add column step_id uuid references step_approvals (step_id),
    drop constraint decisions_check1,
    add constraint decisions_subject check (num_nonnulls(promotion_id, change_request_id, step_id) = 1),
    add unique (step_id, user_id, subject_digest, verdict);

create table sub_runs (
    step_id       uuid primary key references steps (id),
    -- The run that the step is of.
    parent_run_id uuid not null references pipeline_runs (id),
    -- The run that it waits for; none while that is still to be started.
    child_run_id  uuid unique references pipeline_runs (id),
    -- Since when nobody wants the run any more.
    cancel_at     timestamptz,
    created_at    timestamptz not null default clock_timestamp(),
    -- When the step has ended.
    ended_at      timestamptz
);
create index sub_runs_parent on sub_runs (parent_run_id);
create index sub_runs_open on sub_runs (created_at) where ended_at is null;

-- People are written of steps, too.
alter table mails
    alter column promotion_id drop not null,
    add column step_id uuid references step_approvals (step_id),
    add constraint mails_subject check (num_nonnulls(promotion_id, step_id) = 1),
    add unique (step_id, user_id, moment);

-- Whether somebody is written of a step: a person who is a member, wants such messages, and has an address that exists.
create function gets_mail_of_step(the_user uuid, the_step uuid, the_kind text) returns boolean
    language sql stable parallel safe
    return exists (
        select
        from step_approvals a
        join members m on m.workspace_id = a.workspace_id and m.user_id = the_user
        join users u on u.id = m.user_id
        where a.step_id = the_step
          and not u.is_service
          and u.email not like '%.invalid'
          and not the_kind = any (u.mail_off)
    );
