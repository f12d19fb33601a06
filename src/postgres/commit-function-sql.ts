import { bodyQuote } from '../sql/index.ts'
import { commitChecksSql } from './commit-checks-sql.ts'
import { commitWritesSql } from './commit-writes-sql.ts'

/** SQLSTATE of a group that comes from an engine which another one of the same id has taken over. */
export const fencedState = 'MR001'

/** Advisory locks that keep two engines from checking the same state or timer at a time; see {@link commitFunctionSql}. */
export const stripeCount = 64

/**
 * The function that commits a group: one transaction, one round trip, one sync. `schema` is a quoted identifier.
 *
 * 1. The row of the engine's instance is locked: a group of an earlier generation is refused, so a backend that wakes up
 *    late can do no harm.
 * 2. Everything that the group checks or writes is locked, in one order for all engines, so that none waits for another in a
 *    circle: claims, producers, partitions, namespaces, stripes of state and timers, the head of the events.
 * 3. Each unit is checked as a whole and then written: what is refused leaves no trace among its neighbours.
 * 4. The answers are kept in the row of the instance: if the connection is cut, the next one reads them there.
 */
export function commitFunctionSql(schema: string): string {
  return `${commitChecksSql(schema)}\n${commitWritesSql(schema)}\n${commitUnit(schema)}\n${commitGroup(schema)}`
}

function commitUnit(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.commit_unit(p_unit jsonb, p_instance uuid, p_namespaces bigint[], p_time_ms bigint, p_arena bytea,
      INOUT io_ends bigint[], INOUT io_position bigint, OUT o_result jsonb) LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_refusal jsonb; v_repeated bigint[]; v_duplicate jsonb; v_duplicates jsonb := '{}'; v_ahead jsonb := '{}';
      v_version bigint; v_item jsonb; v_offsets jsonb[] := '{}'; v_appended jsonb[] := '{}'; v_one jsonb; v_end integer;
      v_is_flat boolean := p_unit ? 'flat';
    BEGIN
      IF p_unit ? 'p' THEN v_refusal := ${schema}.check_progress(p_unit->'p'); END IF;
      IF v_refusal IS NULL AND p_unit ? 'b' THEN
        SELECT * INTO v_refusal, v_repeated FROM ${schema}.check_batches(p_unit->'b', io_ends);
      END IF;
      IF v_refusal IS NULL AND p_unit ? 's' THEN
        v_refusal := ${schema}.check_state(p_unit->'s', p_namespaces, v_is_flat);
      END IF;
      IF v_refusal IS NULL AND p_unit ? 't' THEN v_refusal := ${schema}.check_timers(p_unit->'t'); END IF;
      IF v_refusal IS NULL AND p_unit ? 'a' THEN
        FOR i IN 0 .. jsonb_array_length(p_unit->'a') - 1 LOOP
          v_item := p_unit->'a'->i;
          SELECT * INTO v_refusal, v_duplicate, v_version FROM ${schema}.check_append(i, v_item, v_ahead, io_position);
          EXIT WHEN v_refusal IS NOT NULL;
          IF v_duplicate IS NOT NULL THEN v_duplicates := v_duplicates || jsonb_build_object(i, v_duplicate);
          ELSE v_ahead := v_ahead || jsonb_build_object(v_item->>0, v_version + jsonb_array_length(v_item->5));
          END IF;
        END LOOP;
      END IF;
      IF v_refusal IS NOT NULL THEN o_result := jsonb_build_object('x', v_refusal); RETURN; END IF;

      IF p_unit ? 'b' THEN
        FOR i IN 0 .. jsonb_array_length(p_unit->'b') - 1 LOOP
          v_item := p_unit->'b'->i;
          IF v_repeated[i + 1] IS NULL THEN
            v_end := (v_item->>0)::integer + 1;
            v_offsets := array_append(v_offsets, to_jsonb(io_ends[v_end]));
            PERFORM ${schema}.write_batch(v_item, io_ends[v_end], p_arena);
            io_ends[v_end] := io_ends[v_end] + (v_item->>2)::bigint;
          ELSE
            v_offsets := array_append(v_offsets, to_jsonb(v_repeated[i + 1]));
          END IF;
        END LOOP;
      END IF;
      IF p_unit ? 'a' THEN
        FOR i IN 0 .. jsonb_array_length(p_unit->'a') - 1 LOOP
          v_one := v_duplicates->(i::text);
          IF v_one IS NULL THEN
            SELECT * INTO v_one, io_position
              FROM ${schema}.write_append(p_unit->'a'->i, io_position, p_time_ms, p_arena);
          END IF;
          v_appended := array_append(v_appended, v_one);
        END LOOP;
      END IF;
      IF p_unit ? 's' THEN PERFORM ${schema}.write_state(p_unit->'s', p_namespaces, v_is_flat, p_arena); END IF;
      IF p_unit ? 't' THEN PERFORM ${schema}.write_timers(p_unit->'t', p_instance, p_arena); END IF;
      IF p_unit ? 'p' THEN PERFORM ${schema}.write_progress(p_unit->'p'); END IF;
      o_result := jsonb_build_object('o', v_offsets, 'a', v_appended);
    END ${bodyQuote(schema)};`
}

function commitGroup(schema: string): string {
  const literal = schema.replaceAll("'", "''")
  return `
    CREATE OR REPLACE FUNCTION ${schema}.commit_group(p_instance uuid, p_generation bigint, p_number bigint, p_group jsonb,
      p_arena bytea) RETURNS text LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_id bigint; v_ends bigint[] := '{}'; v_before bigint[]; v_namespaces bigint[] := '{}';
      v_position bigint := 0; v_first bigint; v_time_ms bigint := 0; v_result jsonb; v_results jsonb[] := '{}'; v_text text;
    BEGIN
      PERFORM 1 FROM ${schema}.instance WHERE id = p_instance AND generation = p_generation FOR NO KEY UPDATE;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'engine % of generation % was taken over', p_instance, p_generation USING ERRCODE = '${fencedState}';
      END IF;
      FOR v_item IN SELECT jsonb_array_elements(p_group->'claims') LOOP
        PERFORM 1 FROM ${schema}.claim WHERE group_name = v_item->>0 AND partition_id = (v_item->>1)::bigint FOR SHARE;
      END LOOP;
      FOR v_item IN SELECT jsonb_array_elements(p_group->'producers') LOOP
        PERFORM 1 FROM ${schema}.producer WHERE id = v_item::bigint FOR SHARE;
      END LOOP;
      FOR v_item IN SELECT jsonb_array_elements(p_group->'partitions') LOOP
        SELECT CASE WHEN is_deleted THEN NULL ELSE next_offset END INTO v_id
          FROM ${schema}.partition WHERE id = v_item::bigint FOR NO KEY UPDATE;
        v_ends := array_append(v_ends, v_id);
      END LOOP;
      FOR v_text IN SELECT jsonb_array_elements_text(p_group->'namespaces') LOOP
        SELECT id INTO v_id FROM ${schema}.namespace WHERE name = v_text;
        IF NOT FOUND THEN
          INSERT INTO ${schema}.namespace (name) VALUES (v_text) ON CONFLICT DO NOTHING;
          SELECT id INTO v_id FROM ${schema}.namespace WHERE name = v_text;
        END IF;
        v_namespaces := array_append(v_namespaces, v_id);
      END LOOP;
      FOR v_item IN SELECT jsonb_array_elements(p_group->'stripes') LOOP
        PERFORM pg_advisory_xact_lock('${literal}'::regnamespace::oid::integer, v_item::integer);
      END LOOP;
      IF p_group ? 'appends' THEN
        SELECT last_position, greatest(last_time_ms, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
          INTO v_position, v_time_ms FROM ${schema}.event_head FOR NO KEY UPDATE;
      END IF;
      v_before := v_ends;
      v_first := v_position;

      FOR v_item IN SELECT jsonb_array_elements(p_group->'units') LOOP
        SELECT * INTO v_ends, v_position, v_result
          FROM ${schema}.commit_unit(v_item, p_instance, v_namespaces, v_time_ms, p_arena, v_ends, v_position);
        v_results := array_append(v_results, v_result);
      END LOOP;

      FOR i IN 1 .. cardinality(v_ends) LOOP
        IF v_ends[i] <> v_before[i] THEN
          UPDATE ${schema}.partition SET next_offset = v_ends[i] WHERE id = (p_group->'partitions'->>(i - 1))::bigint;
        END IF;
      END LOOP;
      IF v_position > v_first THEN
        UPDATE ${schema}.event_head SET last_position = v_position, last_time_ms = v_time_ms;
      END IF;
      v_text := to_json(v_results)::text;
      UPDATE ${schema}.instance SET group_number = p_number, results = v_text, seen_at = now() WHERE id = p_instance;
      RETURN v_text;
    END ${bodyQuote(schema)};`
}
