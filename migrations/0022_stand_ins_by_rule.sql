-- Somebody may count for one rule by themselves and for another in somebody's place: whom they stood in for, beside each rule
-- of `rules`.
alter table decisions drop constraint decisions_acting_for_fkey;
drop index decisions_acting_for;
alter table decisions
    alter column acting_for type uuid[]
        using case when acting_for is null then '{}' else array_fill(acting_for, array[cardinality(rules)]) end,
    alter column acting_for set default '{}',
    alter column acting_for set not null,
    add check (cardinality(acting_for) in (0, cardinality(rules)));
