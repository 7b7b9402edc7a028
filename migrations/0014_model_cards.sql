-- What people should know of a model, in Markdown. Rows are only ever added; the greatest number is the card in force.
create table model_cards (
    model_id   uuid not null references models (id),
    number     integer not null,
    text       text not null,
    author_id  uuid references users (id),
    -- The author's name then.
    author     text not null,
    created_at timestamptz not null default now(),
    primary key (model_id, number)
);
create index model_cards_author on model_cards (author_id);
create trigger model_cards_append_only before update or delete on model_cards
    for each statement execute function refuse_change();
