-- What a candidate would have answered to the last recorded predictions of the version that serves: one, the last, for
-- each promotion. It informs people; nothing rests on it.

create table replays (
    promotion_id  uuid primary key references promotions (id),
    -- Counts how often it was asked for: what an earlier asking finds is dropped.
    round         integer not null default 1,
    -- How many of the last decisions.
    wanted        integer not null check (wanted between 1 and 5000),
    state         text not null check (state in ('waiting', 'done', 'nothing', 'failed')),
    reason        text not null default '',
    asked_at      timestamptz not null default now(),
    -- None: Slipway by itself.
    asker         text,
    -- While it waits: until when nobody else takes it up.
    held_until    timestamptz,
    -- How often it was begun.
    tries         integer not null default 0,
    model_digest  text,
    champion      integer,
    first_at      timestamptz,
    last_at       timestamptz,
    ended_at      timestamptz,
    found         jsonb,
    -- They show predictions, and go when those do.
    examples      jsonb not null default '[]',
    examples_from timestamptz,
    check ((state = 'done') = (found is not null))
);
create index replays_waiting on replays (asked_at) where state = 'waiting';
create index replays_examples on replays (examples_from) where examples_from is not null;
