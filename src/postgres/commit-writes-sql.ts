import { bodyQuote } from '../sql/index.ts'

/** Functions that write one unit after all of it was checked. `schema` is a quoted identifier. */
export function commitWritesSql(schema: string): string {
  return [
    writeBatch(schema),
    writeState(schema),
    writeTimers(schema),
    writeProgress(schema),
    writeAppend(schema),
    removeEvents(schema),
  ].join('\n')
}

/** A batch comes complete but for its base offset: eight bytes in front, which its checksum leaves out. */
function writeBatch(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.write_batch(p_item jsonb, p_base bigint, p_arena bytea) RETURNS void
    LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_count bigint := (p_item->>2)::bigint; v_length integer := (p_item->>5)::integer;
    BEGIN
      INSERT INTO ${schema}.batch (partition_id, base_offset, last_offset, time_max_ms, byte_count, bytes) VALUES (
        (p_item->>1)::bigint, p_base, p_base + v_count - 1, (p_item->>3)::bigint, v_length,
        int8send(p_base) || substring(p_arena FROM (p_item->>4)::integer + 9 FOR v_length - 8));
      IF p_item->>6 IS NOT NULL THEN
        INSERT INTO ${schema}.producer_partition AS mine (producer_id, partition_id, epoch, recent) VALUES (
          (p_item->>6)::bigint, (p_item->>1)::bigint, (p_item->>7)::integer, ARRAY[(p_item->>8)::bigint, v_count, p_base])
        ON CONFLICT (producer_id, partition_id) DO UPDATE SET epoch = excluded.epoch,
          -- The numbering starts anew with each epoch; five batches may be in flight, as in Kafka.
          recent = CASE WHEN mine.epoch <> excluded.epoch THEN excluded.recent
            WHEN cardinality(mine.recent) < 15 THEN mine.recent || excluded.recent
            ELSE mine.recent[4:15] || excluded.recent END;
      END IF;
    END ${bodyQuote(schema)};`
}

function writeState(schema: string): string {
  const text = `convert_from(substring(p_arena FROM (x.item->>4)::integer + 1 FOR (x.item->>5)::integer), 'UTF8')`
  return `
    CREATE OR REPLACE FUNCTION ${schema}.write_state(p_items jsonb, p_namespaces bigint[], p_is_flat boolean, p_arena bytea)
    RETURNS void LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_namespace bigint;
    BEGIN
      IF NOT p_is_flat THEN
        FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
          v_item := p_items->i;
          IF (v_item->>0)::integer < 2 THEN
            PERFORM ${schema}.write_state(jsonb_build_array(v_item), p_namespaces, true, p_arena);
          ELSE
            UPDATE ${schema}.state SET value = NULL, revision = 0, deleted_at = now(), changed = pg_current_xact_id()
              WHERE namespace_id = p_namespaces[(v_item->>1)::integer + 1] AND value IS NOT NULL;
          END IF;
        END LOOP;
        RETURN;
      END IF;
      INSERT INTO ${schema}.state AS mine (namespace_id, key, revision, value, changed)
        SELECT p_namespaces[(x.item->>1)::integer + 1], x.item->>2, 1, ${text}, pg_current_xact_id()
        FROM jsonb_array_elements(p_items) AS x (item) WHERE (x.item->>0)::integer = 0
        -- The mark of a deleted key has revision 0, so that a key which is set again starts at 1.
        ON CONFLICT (namespace_id, key) DO UPDATE
          SET revision = mine.revision + 1, value = excluded.value, deleted_at = NULL, changed = excluded.changed;
      UPDATE ${schema}.state AS mine SET value = NULL, revision = 0, deleted_at = now(), changed = pg_current_xact_id()
        FROM jsonb_array_elements(p_items) AS x (item)
        WHERE (x.item->>0)::integer = 1 AND mine.namespace_id = p_namespaces[(x.item->>1)::integer + 1]
          AND mine.key = x.item->>2 AND mine.value IS NOT NULL;
    END ${bodyQuote(schema)};`
}

function writeTimers(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.write_timers(p_items jsonb, p_instance uuid, p_arena bytea) RETURNS void LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb;
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        IF (v_item->>0)::integer > 0 THEN
          DELETE FROM ${schema}.timer WHERE owner = v_item->>1 AND id = v_item->>2;
        ELSE
          INSERT INTO ${schema}.timer (owner, id, due_ms, revision, payload, changed, scheduled_by) VALUES (
            v_item->>1, v_item->>2, (v_item->>3)::bigint, nextval('${schema.replaceAll("'", "''")}.timer_revision'),
            convert_from(substring(p_arena FROM (v_item->>4)::integer + 1 FOR (v_item->>5)::integer), 'UTF8'),
            pg_current_xact_id(), p_instance)
          ON CONFLICT (owner, id) DO UPDATE SET due_ms = excluded.due_ms, revision = excluded.revision,
            payload = excluded.payload, changed = excluded.changed, scheduled_by = excluded.scheduled_by;
        END IF;
      END LOOP;
    END ${bodyQuote(schema)};`
}

/** Ranges that touch become one, so what is done stays short as long as its gaps are few. */
function writeProgress(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.write_progress(p_items jsonb) RETURNS void LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb;
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        INSERT INTO ${schema}.progress AS mine (group_name, partition_id, done)
          VALUES (v_item->>0, (v_item->>1)::bigint, (v_item->>3)::int8multirange)
          ON CONFLICT (group_name, partition_id) DO UPDATE SET done = mine.done + excluded.done;
      END LOOP;
    END ${bodyQuote(schema)};`
}

/** Writes a checked append behind `p_position`; `o_appended` is its first and last version, its last position, and false. */
function writeAppend(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.write_append(p_item jsonb, p_position bigint, p_time_ms bigint, p_arena bytea,
      OUT o_appended jsonb, OUT o_position bigint) LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_events jsonb := p_item->5; v_count integer := jsonb_array_length(p_item->5); v_stream bigint; v_version bigint;
      v_event jsonb;
    BEGIN
      UPDATE ${schema}.stream SET version = version + v_count WHERE name = p_item->>0 RETURNING id, version
        INTO v_stream, v_version;
      IF NOT FOUND THEN
        INSERT INTO ${schema}.stream (name, version) VALUES (p_item->>0, v_count) RETURNING id, version
          INTO v_stream, v_version;
      END IF;
      FOR i IN 0 .. v_count - 1 LOOP
        v_event := v_events->i;
        INSERT INTO ${schema}.event (position, stream_id, version, time_ms, identity, labels, bytes) VALUES (
          p_position + 1 + i, v_stream, v_version - v_count + 1 + i, p_time_ms, decode(v_event->>0, 'hex'),
          ARRAY(SELECT jsonb_array_elements_text(v_event->1)),
          substring(p_arena FROM (v_event->>2)::integer + 1 FOR (v_event->>3)::integer));
        INSERT INTO ${schema}.event_label (label, position)
          SELECT label, p_position + 1 + i FROM jsonb_array_elements_text(v_event->1) AS one (label) WHERE label <> '';
      END LOOP;
      o_position := p_position + v_count;
      o_appended := jsonb_build_array(v_version - v_count + 1, v_version, o_position, false);
    END ${bodyQuote(schema)};`
}

/**
 * Removes the events of a stream before a version, or all of them and the stream with them. Versions and positions of the
 * rest stay. `false`: no such stream.
 *
 * `p_version` is the version that the stream had when this was asked for: run again, because the answer of the first run was
 * lost, a deletion finds itself done by it, and what others have appended since stays.
 */
function removeEvents(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.remove_events(p_stream text, p_before bigint, p_tombstone boolean,
      p_version bigint) RETURNS boolean LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_stream record; v_before bigint;
    BEGIN
      PERFORM 1 FROM ${schema}.event_head FOR NO KEY UPDATE;
      SELECT id, version, deleted_at INTO v_stream FROM ${schema}.stream WHERE name = p_stream;
      IF NOT FOUND THEN RETURN false; END IF;
      -- Nothing is appended behind a tombstone, so that one may run as often as it likes.
      IF p_before IS NULL AND NOT p_tombstone AND v_stream.deleted_at > p_version THEN RETURN true; END IF;
      v_before := least(coalesce(p_before, v_stream.version + 1), v_stream.version + 1);
      WITH gone AS (
        DELETE FROM ${schema}.event WHERE stream_id = v_stream.id AND version < v_before RETURNING position, labels)
      DELETE FROM ${schema}.event_label AS mine USING gone
        WHERE mine.position = gone.position AND mine.label = ANY (gone.labels);
      UPDATE ${schema}.stream SET truncated_before = greatest(truncated_before, v_before),
        is_tombstoned = is_tombstoned OR p_tombstone WHERE id = v_stream.id;
      -- A deletion takes a version, so that whoever expects the one before it is refused.
      IF p_before IS NULL AND v_stream.deleted_at <> v_stream.version THEN
        UPDATE ${schema}.stream SET version = version + 1, deleted_at = version + 1, truncated_before = version + 2
          WHERE id = v_stream.id;
      END IF;
      RETURN true;
    END ${bodyQuote(schema)};`
}
