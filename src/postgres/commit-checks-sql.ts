import { bodyQuote } from '../sql/index.ts'

/**
 * Functions that look at one unit before any of it is written. Each returns NULL, or why the unit is refused: the kind, the
 * place in the unit's list, and what was found. `schema` is a quoted identifier.
 *
 * Items are arrays: what stands where is said in commit-message.ts, which writes them.
 */
export function commitChecksSql(schema: string): string {
  return [
    checkProgress(schema),
    checkBatches(schema),
    checkState(schema),
    checkTimers(schema),
    matchCondition(schema),
    planRepeated(schema),
    checkAppend(schema),
  ].join('\n')
}

function checkProgress(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.check_progress(p_items jsonb) RETURNS jsonb LANGUAGE plpgsql AS ${bodyQuote(schema)}
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        PERFORM 1 FROM ${schema}.claim WHERE group_name = p_items->i->>0 AND partition_id = (p_items->i->>1)::bigint
          AND epoch = (p_items->i->>2)::bigint AND member_id IS NOT NULL;
        IF NOT FOUND THEN RETURN jsonb_build_array('fenced', i); END IF;
      END LOOP;
      RETURN NULL;
    END ${bodyQuote(schema)};`
}

/**
 * `o_repeated` holds, for each batch that a producer sent again, where it stands, and NULL for those to be written. The
 * sequence that each producer will stand at after the batches before it in the unit is kept in `v_ahead`.
 */
function checkBatches(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.check_batches(p_items jsonb, p_ends bigint[],
      OUT o_refusal jsonb, OUT o_repeated bigint[]) LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_partition bigint; v_count bigint; v_producer bigint; v_epoch integer; v_sequence bigint;
      v_current integer; v_recent bigint[]; v_expected bigint; v_ahead jsonb := '{}'; v_last integer;
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        IF p_ends[(v_item->>0)::integer + 1] IS NULL THEN
          o_refusal := jsonb_build_array('partition-gone', i);
          RETURN;
        END IF;
        o_repeated := array_append(o_repeated, NULL);
        CONTINUE WHEN v_item->>6 IS NULL;
        v_partition := (v_item->>1)::bigint;
        v_count := (v_item->>2)::bigint;
        v_producer := (v_item->>6)::bigint;
        v_epoch := (v_item->>7)::integer;
        v_sequence := (v_item->>8)::bigint;
        SELECT epoch INTO v_current FROM ${schema}.producer WHERE id = v_producer;
        IF NOT FOUND THEN o_refusal := jsonb_build_array('producer-unknown', i); RETURN; END IF;
        IF v_current <> v_epoch THEN o_refusal := jsonb_build_array('producer-fenced', i, v_current); RETURN; END IF;
        SELECT recent INTO v_recent FROM ${schema}.producer_partition
          WHERE producer_id = v_producer AND partition_id = v_partition AND epoch = v_epoch;
        v_last := coalesce(cardinality(v_recent), 0);
        FOR k IN 0 .. v_last / 3 - 1 LOOP
          IF v_recent[k * 3 + 1] = v_sequence AND v_recent[k * 3 + 2] = v_count THEN
            o_repeated[i + 1] := v_recent[k * 3 + 3];
          END IF;
        END LOOP;
        CONTINUE WHEN o_repeated[i + 1] IS NOT NULL;
        v_expected := coalesce((v_ahead->>(v_producer || '/' || v_partition))::bigint,
          CASE WHEN v_last = 0 THEN 0 ELSE (v_recent[v_last - 2] + v_recent[v_last - 1]) % 2147483648 END);
        IF v_sequence <> v_expected THEN
          o_refusal := jsonb_build_array('out-of-sequence', i, v_expected);
          RETURN;
        END IF;
        v_ahead := v_ahead || jsonb_build_object(v_producer || '/' || v_partition, (v_sequence + v_count) % 2147483648);
      END LOOP;
    END ${bodyQuote(schema)};`
}

/**
 * Where every key comes once and nothing is cleared, one statement looks at all of them. Otherwise a later write of a key
 * is checked against what the earlier one will leave.
 */
function checkState(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.check_state(p_items jsonb, p_namespaces bigint[], p_is_flat boolean)
    RETURNS jsonb LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_namespace bigint; v_id text; v_expected bigint; v_actual bigint; v_kind integer;
      v_ahead jsonb := '{}'; v_cleared bigint[] := '{}'; v_refusal jsonb;
    BEGIN
      IF p_is_flat THEN
        SELECT jsonb_build_array('revision', x.place - 1, coalesce(s.revision, 0)) INTO v_refusal
          FROM jsonb_array_elements(p_items) WITH ORDINALITY AS x (item, place)
          LEFT JOIN ${schema}.state AS s
            ON s.namespace_id = p_namespaces[(x.item->>1)::integer + 1] AND s.key = x.item->>2
          WHERE (x.item->>3)::bigint >= 0 AND (x.item->>3)::bigint <> coalesce(s.revision, 0)
          ORDER BY x.place LIMIT 1;
        RETURN v_refusal;
      END IF;
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        v_kind := (v_item->>0)::integer;
        v_namespace := p_namespaces[(v_item->>1)::integer + 1];
        IF v_kind = 2 THEN
          v_cleared := v_cleared || v_namespace;
          v_ahead := v_ahead - v_namespace::text;
          CONTINUE;
        END IF;
        v_expected := (v_item->>3)::bigint;
        v_id := v_item->>2;
        v_actual := (v_ahead->(v_namespace::text)->>v_id)::bigint;
        IF v_actual IS NULL AND v_namespace = ANY (v_cleared) THEN v_actual := 0; END IF;
        IF v_actual IS NULL THEN
          SELECT revision INTO v_actual FROM ${schema}.state WHERE namespace_id = v_namespace AND key = v_id;
          v_actual := coalesce(v_actual, 0);
        END IF;
        IF v_expected >= 0 AND v_expected <> v_actual THEN RETURN jsonb_build_array('revision', i, v_actual); END IF;
        v_ahead := v_ahead || jsonb_build_object(v_namespace::text,
          coalesce(v_ahead->(v_namespace::text), '{}') ||
          jsonb_build_object(v_id, CASE WHEN v_kind = 1 THEN 0 ELSE v_actual + 1 END));
      END LOOP;
      RETURN NULL;
    END ${bodyQuote(schema)};`
}

/** Only a timer that fires can be refused; what the unit itself changed before no longer has the revision that stands. */
function checkTimers(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.check_timers(p_items jsonb) RETURNS jsonb LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_name jsonb; v_changed jsonb[] := '{}';
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        v_name := jsonb_build_array(v_item->1, v_item->2);
        IF (v_item->>0)::integer = 2 THEN
          PERFORM 1 FROM ${schema}.timer WHERE owner = v_item->>1 AND id = v_item->>2 AND revision = (v_item->>3)::bigint
            AND v_name <> ALL (v_changed);
          IF NOT FOUND THEN RETURN jsonb_build_array('timer', i); END IF;
        END IF;
        v_changed := array_append(v_changed, v_name);
      END LOOP;
      RETURN NULL;
    END ${bodyQuote(schema)};`
}

/**
 * Position of an event behind `after` that matches the query, 0 if there is none: what was deleted refuses nobody. An item
 * is a pair of lists of labels: one of the first, if any is given, and all of the second.
 */
function matchCondition(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.match_condition(p_items jsonb, p_after bigint) RETURNS bigint
    LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_types text[]; v_tags text[]; v_found bigint;
    BEGIN
      IF jsonb_array_length(p_items) = 0 THEN p_items := '[[[],[]]]'; END IF;
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        v_types := ARRAY(SELECT jsonb_array_elements_text(v_item->0));
        v_tags := ARRAY(SELECT jsonb_array_elements_text(v_item->1));
        IF cardinality(v_tags) = 0 AND cardinality(v_types) = 0 THEN
          SELECT position INTO v_found FROM ${schema}.event WHERE position > p_after ORDER BY position DESC LIMIT 1;
        ELSIF cardinality(v_tags) = 0 THEN
          SELECT max(last.position) INTO v_found FROM unnest(v_types) AS type (label), LATERAL (
            SELECT one.position FROM ${schema}.event_label AS one
            WHERE one.label = type.label COLLATE "C" AND one.position > p_after
            ORDER BY one.label DESC, one.position DESC LIMIT 1) AS last;
        ELSIF cardinality(v_tags) = 1 AND cardinality(v_types) = 0 THEN
          SELECT position INTO v_found FROM ${schema}.event_label WHERE label = v_tags[1] AND position > p_after
            ORDER BY label DESC, position DESC LIMIT 1;
        ELSE
          SELECT one.position INTO v_found FROM ${schema}.event_label AS one
            WHERE one.label = v_tags[1] AND one.position > p_after
            AND (SELECT count(*) FROM ${schema}.event_label AS other
              WHERE other.position = one.position AND other.label = ANY (v_tags)) = cardinality(v_tags)
            AND (cardinality(v_types) = 0 OR EXISTS (SELECT 1 FROM ${schema}.event_label AS other
              WHERE other.position = one.position AND other.label = ANY (v_types)))
            ORDER BY one.label DESC, one.position DESC LIMIT 1;
        END IF;
        IF v_found IS NOT NULL THEN RETURN v_found; END IF;
      END LOOP;
      RETURN 0;
    END ${bodyQuote(schema)};`
}

/** An append of which some events stand already: a success that writes nothing if all do, in order, else a conflict. */
function planRepeated(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.plan_repeated(p_index integer, p_stream_id bigint, p_identities bytea[],
      p_seen integer, OUT o_refusal jsonb, OUT o_duplicate jsonb) LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_event record; v_found integer := 0; v_first bigint; v_version bigint; v_position bigint; v_is_in_order boolean := true;
    BEGIN
      FOR i IN 0 .. cardinality(p_identities) - 1 LOOP
        SELECT stream_id, version, position INTO v_event FROM ${schema}.event WHERE identity = p_identities[i + 1];
        IF FOUND THEN
          v_found := v_found + 1;
          IF v_found <> i + 1 THEN o_refusal := jsonb_build_array('event-id', p_index, i); RETURN; END IF;
          IF i = 0 THEN v_first := v_event.version; END IF;
          v_is_in_order := v_is_in_order AND v_event.stream_id IS NOT DISTINCT FROM p_stream_id
            AND v_event.version = v_first + i;
          v_version := v_event.version;
          v_position := v_event.position;
        ELSIF v_found > 0 THEN
          o_refusal := jsonb_build_array('event-id', p_index, i - 1);
          RETURN;
        ELSIF i = p_seen THEN
          o_refusal := jsonb_build_array('event-id', p_index, i);
          RETURN;
        END IF;
      END LOOP;
      IF v_is_in_order THEN o_duplicate := jsonb_build_array(v_first, v_version, v_position, true);
      ELSE o_refusal := jsonb_build_array('event-id', p_index, 0);
      END IF;
    END ${bodyQuote(schema)};`
}

/** `p_ahead` holds the versions that earlier appends of the unit will leave; `o_version` is that of the stream now. */
function checkAppend(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.check_append(p_index integer, p_item jsonb, p_ahead jsonb, p_position bigint,
      OUT o_refusal jsonb, OUT o_duplicate jsonb, OUT o_version bigint) LANGUAGE plpgsql AS ${bodyQuote(schema)}
    DECLARE
      v_stream record; v_identities bytea[]; v_match bigint; v_expected text := p_item->>1;
    BEGIN
      SELECT id, version, is_tombstoned INTO v_stream FROM ${schema}.stream WHERE name = p_item->>0;
      IF v_stream.is_tombstoned THEN o_refusal := jsonb_build_array('stream-deleted', p_index); RETURN; END IF;
      IF jsonb_array_length(p_item->5) = 1 THEN v_identities := ARRAY[decode(p_item->5->0->>0, 'hex')];
      ELSE v_identities := ARRAY(SELECT decode(one->>0, 'hex') FROM jsonb_array_elements(p_item->5) AS one);
      END IF;
      PERFORM 1 FROM ${schema}.event WHERE identity = ANY (v_identities) LIMIT 1;
      IF FOUND THEN
        SELECT * INTO o_refusal, o_duplicate
          FROM ${schema}.plan_repeated(p_index, v_stream.id, v_identities, (p_item->>4)::integer);
        IF o_duplicate IS NOT NULL AND p_item->6 IS NOT NULL THEN
          o_duplicate := NULL;
          o_refusal := jsonb_build_array('event-id', p_index, 0);
        END IF;
        RETURN;
      END IF;
      IF p_item->>4 IS NOT NULL THEN o_refusal := jsonb_build_array('event-id', p_index, p_item->4); RETURN; END IF;
      o_version := coalesce((p_ahead->>(p_item->>0))::bigint, v_stream.version, 0);
      IF NOT (CASE v_expected WHEN 'any' THEN true WHEN 'none' THEN o_version = 0 WHEN 'exists' THEN o_version > 0
        ELSE v_expected::bigint = o_version END) THEN
        o_refusal := jsonb_build_array('stream-version', p_index, o_version);
        RETURN;
      END IF;
      IF p_item->>2 IS NOT NULL AND (p_item->>2)::bigint < p_position THEN
        v_match := ${schema}.match_condition(p_item->3, (p_item->>2)::bigint);
        IF v_match > 0 THEN o_refusal := jsonb_build_array('condition', p_index, v_match); END IF;
      END IF;
    END ${bodyQuote(schema)};`
}
