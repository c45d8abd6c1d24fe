-- The runs of the index of identifiers of all segments, together, so that whoever looks for a value reads which there are from
-- one page. A segment of which a store that is older has the runs in a table of its own is looked through without them.
CREATE TABLE identifier_run (
    segment_id INTEGER NOT NULL,
    run        INTEGER NOT NULL,
    first_id   INTEGER NOT NULL,
    last_id    INTEGER NOT NULL,
    level      INTEGER NOT NULL,                       -- 0 as written, 1 made of several, 2 a span more of one that was,
                                                       -- 3 being made of several (first_id is the next of 256 parts,
                                                       -- those before it are in it and no more in them)
    PRIMARY KEY (segment_id, run)
) WITHOUT ROWID;
