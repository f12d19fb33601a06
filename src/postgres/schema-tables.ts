/**
 * The tables of format version 1. `schema` is a quoted identifier.
 *
 * Names are `text COLLATE "C"`, so that their order is that of their UTF-8 bytes whatever the database's locale is. JSON
 * is kept as text: `jsonb` would order keys and round numbers. Everything that a reader of changes must find carries the
 * transaction that wrote it (`changed`), because ids and clocks do not rise in the order of commits.
 */
export function tablesVersion1(schema: string): string {
  return `
    CREATE TABLE ${schema}.meta (
      is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
      format_version integer NOT NULL,
      -- Rises with each change of topics and partitions, so that every engine knows when to read them again.
      catalog_version bigint NOT NULL
    );
    INSERT INTO ${schema}.meta (format_version, catalog_version) VALUES (0, 1);

    -- One row per open engine: what its last group of commits came to, so that a cut connection leaves no doubt.
    CREATE TABLE ${schema}.instance (
      id uuid PRIMARY KEY,
      generation bigint NOT NULL,
      group_number bigint NOT NULL,
      results text NOT NULL,
      seen_at timestamptz NOT NULL,
      -- The backend of the connection that listens: while it is there, so is the process.
      listener_pid integer,
      listener_started_at timestamptz
    ) WITH (fillfactor = 50);

    CREATE TABLE ${schema}.topic (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      -- Of a deleted topic: 'deleted/' and its id, until its records are removed.
      name text COLLATE "C" NOT NULL UNIQUE,
      config text NOT NULL
    );
    CREATE TABLE ${schema}.partition (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      topic_id bigint NOT NULL REFERENCES ${schema}.topic (id),
      number integer NOT NULL,
      start_offset bigint NOT NULL DEFAULT 0,
      -- The offset that the next record gets. Who gives offsets out holds the row until the commit: no reader skips any.
      next_offset bigint NOT NULL DEFAULT 0,
      compacted_to bigint NOT NULL DEFAULT 0,
      is_deleted boolean NOT NULL DEFAULT false,
      UNIQUE (topic_id, number)
    ) WITH (fillfactor = 50);
    CREATE TABLE ${schema}.batch (
      partition_id bigint NOT NULL,
      base_offset bigint NOT NULL,
      last_offset bigint NOT NULL,
      time_max_ms bigint NOT NULL,
      byte_count integer NOT NULL,
      bytes bytea NOT NULL,
      PRIMARY KEY (partition_id, base_offset)
    );
    -- Topics are compressed by their own setting, if at all.
    ALTER TABLE ${schema}.batch ALTER COLUMN bytes SET STORAGE EXTERNAL;

    CREATE TABLE ${schema}.producer (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      name text COLLATE "C" NOT NULL UNIQUE,
      epoch integer NOT NULL
    );
    CREATE TABLE ${schema}.producer_partition (
      producer_id bigint NOT NULL,
      partition_id bigint NOT NULL,
      epoch integer NOT NULL,
      -- The last five batches, oldest first: sequence, record count, base offset of each.
      recent bigint[] NOT NULL,
      PRIMARY KEY (producer_id, partition_id)
    ) WITH (fillfactor = 50);

    CREATE TABLE ${schema}.consumer_group (
      name text COLLATE "C" PRIMARY KEY,
      -- Rises with each change of members, topics or claims.
      generation bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);
    CREATE TABLE ${schema}.member (
      id uuid PRIMARY KEY,
      group_name text COLLATE "C" NOT NULL,
      instance_id uuid NOT NULL,
      topics text[] COLLATE "C" NOT NULL,
      start_at text NOT NULL,
      session_timeout_ms bigint NOT NULL,
      -- Which partitions shall go to one member: 'numbers', 'all', or none in particular.
      together text,
      joined_number bigint GENERATED ALWAYS AS IDENTITY,
      lease_until timestamptz NOT NULL
    ) WITH (fillfactor = 50);
    CREATE INDEX member_by_group ON ${schema}.member (group_name, joined_number);
    -- A claim outlives its owners, so that its epoch never goes back. Rows are locked in the order of their key.
    CREATE TABLE ${schema}.claim (
      group_name text COLLATE "C" NOT NULL,
      partition_id bigint NOT NULL,
      epoch bigint NOT NULL,
      -- NULL: nobody owns the partition, and whatever is committed under an earlier epoch is fenced.
      member_id uuid,
      -- The owner was asked to give it back.
      is_revoking boolean NOT NULL DEFAULT false,
      PRIMARY KEY (group_name, partition_id)
    ) WITH (fillfactor = 50);
    CREATE TABLE ${schema}.progress (
      group_name text COLLATE "C" NOT NULL,
      partition_id bigint NOT NULL,
      -- Everything done. A first range that begins at 0 ends where the group goes on; without one it goes on at 0.
      done int8multirange NOT NULL,
      PRIMARY KEY (group_name, partition_id)
    ) WITH (fillfactor = 50);

    -- Its row is the lock of all appends: positions rise in the order of commits, and no two appenders race.
    CREATE TABLE ${schema}.event_head (
      is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
      last_position bigint NOT NULL,
      last_time_ms bigint NOT NULL
    ) WITH (fillfactor = 50);
    INSERT INTO ${schema}.event_head (last_position, last_time_ms) VALUES (0, 0);
    CREATE TABLE ${schema}.stream (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      name text COLLATE "C" NOT NULL UNIQUE,
      version bigint NOT NULL,
      truncated_before bigint NOT NULL DEFAULT 1,
      is_tombstoned boolean NOT NULL DEFAULT false
    ) WITH (fillfactor = 70);
    CREATE TABLE ${schema}.event (
      position bigint PRIMARY KEY,
      stream_id bigint NOT NULL,
      version bigint NOT NULL,
      time_ms bigint NOT NULL,
      -- The 16 bytes of a UUID, else the SHA-256 of source, space and id.
      identity bytea NOT NULL,
      -- The label of its type and those of its tags, see event_label.
      labels text[] COLLATE "C" NOT NULL,
      -- A record batch of one record.
      bytes bytea NOT NULL
    );
    CREATE UNIQUE INDEX event_by_stream ON ${schema}.event (stream_id, version);
    CREATE UNIQUE INDEX event_by_identity ON ${schema}.event (identity);
    -- 't:' and a type, or 'g:' and a tag.
    CREATE TABLE ${schema}.event_label (
      label text COLLATE "C" NOT NULL,
      position bigint NOT NULL,
      PRIMARY KEY (label, position)
    );

    CREATE TABLE ${schema}.namespace (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      name text COLLATE "C" NOT NULL UNIQUE
    );
    CREATE TABLE ${schema}.state (
      namespace_id bigint NOT NULL,
      key text COLLATE "C" NOT NULL,
      revision bigint NOT NULL,
      -- NULL marks a key that was deleted: watchers learn of it, and maintenance removes the mark later.
      value text,
      deleted_at timestamptz,
      changed xid8 NOT NULL,
      PRIMARY KEY (namespace_id, key)
    ) WITH (fillfactor = 80);
    CREATE INDEX state_by_change ON ${schema}.state (changed);
    CREATE INDEX state_by_deletion ON ${schema}.state (deleted_at) WHERE deleted_at IS NOT NULL;

    CREATE SEQUENCE ${schema}.timer_revision;
    CREATE TABLE ${schema}.timer (
      owner text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      due_ms bigint NOT NULL,
      revision bigint NOT NULL,
      payload text NOT NULL,
      changed xid8 NOT NULL,
      -- The instance that scheduled it, which has told its own listeners.
      scheduled_by uuid NOT NULL,
      PRIMARY KEY (owner, id)
    );
    CREATE INDEX timer_by_due ON ${schema}.timer (owner, due_ms, id);
    CREATE INDEX timer_by_change ON ${schema}.timer (changed);
  `
}

/** What format version 4 added. `schema` is a quoted identifier. */
export function tablesVersion4(schema: string): string {
  return `
    -- Changes of topics and groups that were made lately: after a cut connection, whoever made one finds it here.
    CREATE TABLE ${schema}.change (
      id text COLLATE "C" PRIMARY KEY,
      made_at timestamptz NOT NULL DEFAULT now()
    );
  `
}
