import { bodyQuote } from '../sql/index.ts'

/** Functions by which events are read. `schema` is a quoted identifier; items are as in match_condition. */
export function eventQuerySql(schema: string): string {
  return `${eventPositions(schema)}\n${labelsMatch(schema)}\n${placeAtTime(schema)}`
}

/**
 * Positions of the next events of a query. Each arm runs along one stretch of the index in the order of positions, so that
 * a page ends where it is full: the first tag leads and the others are looked up, or, without tags, each type leads by itself.
 */
function eventPositions(schema: string): string {
  const arm = (bound: string, order: string): string => `
            SELECT one.position FROM ${schema}.event_label AS one
            WHERE one.label = v_lead AND one.position ${bound} p_from
            AND (cardinality(v_tags) < 2 OR (SELECT count(*) FROM ${schema}.event_label AS other
              WHERE other.position = one.position AND other.label = ANY (v_tags)) = cardinality(v_tags))
            AND (v_is_type OR cardinality(v_types) = 0 OR EXISTS (SELECT 1 FROM ${schema}.event_label AS other
              WHERE other.position = one.position AND other.label = ANY (v_types)))
            ORDER BY one.label ${order}, one.position ${order} LIMIT p_limit`
  return `
    CREATE OR REPLACE FUNCTION ${schema}.event_positions(p_items jsonb, p_from bigint, p_is_forward boolean, p_limit integer)
    RETURNS bigint[] LANGUAGE plpgsql STABLE AS ${bodyQuote(schema)}
    DECLARE
      v_item jsonb; v_types text[]; v_tags text[]; v_leads text[]; v_lead text; v_is_type boolean; v_found bigint[] := '{}';
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        v_item := p_items->i;
        v_types := ARRAY(SELECT jsonb_array_elements_text(v_item->0));
        v_tags := ARRAY(SELECT jsonb_array_elements_text(v_item->1));
        v_is_type := cardinality(v_tags) = 0;
        v_leads := CASE WHEN v_is_type THEN v_types ELSE v_tags[1:1] END;
        FOREACH v_lead IN ARRAY v_leads LOOP
          IF p_is_forward THEN
            v_found := v_found || ARRAY(${arm('>=', 'ASC')});
          ELSE
            v_found := v_found || ARRAY(${arm('<=', 'DESC')});
          END IF;
        END LOOP;
      END LOOP;
      RETURN v_found;
    END ${bodyQuote(schema)};`
}

/** Whether an event with these labels is one of those that a query means. */
function labelsMatch(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.labels_match(p_items jsonb, p_labels text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE AS ${bodyQuote(schema)}
    BEGIN
      FOR i IN 0 .. jsonb_array_length(p_items) - 1 LOOP
        IF (jsonb_array_length(p_items->i->0) = 0 OR p_labels && ARRAY(SELECT jsonb_array_elements_text(p_items->i->0)))
          AND p_labels @> ARRAY(SELECT jsonb_array_elements_text(p_items->i->1)) THEN
          RETURN true;
        END IF;
      END LOOP;
      RETURN jsonb_array_length(p_items) = 0;
    END ${bodyQuote(schema)};`
}

/**
 * Place (version in a stream, or position in the store, where `p_stream` is NULL) of the first event appended at or after a
 * time. Times never fall as places rise, so halving finds it without an index of times.
 */
function placeAtTime(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION ${schema}.place_at_time(p_stream text, p_time_ms bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE AS ${bodyQuote(schema)}
    DECLARE
      v_low bigint := 1; v_high bigint; v_middle bigint; v_place bigint; v_time_ms bigint; v_stream bigint;
    BEGIN
      -- No version is greater than a position.
      SELECT last_position + 1 INTO v_high FROM ${schema}.event_head;
      SELECT id INTO v_stream FROM ${schema}.stream WHERE name = p_stream;
      WHILE v_low < v_high LOOP
        v_middle := (v_low + v_high) / 2;
        IF p_stream IS NULL THEN
          SELECT position, time_ms INTO v_place, v_time_ms FROM ${schema}.event
            WHERE position >= v_middle ORDER BY position LIMIT 1;
        ELSE
          SELECT version, time_ms INTO v_place, v_time_ms FROM ${schema}.event
            WHERE stream_id = v_stream AND version >= v_middle ORDER BY version LIMIT 1;
        END IF;
        IF NOT FOUND OR v_time_ms >= p_time_ms THEN v_high := v_middle;
        ELSE v_low := v_place + 1;
        END IF;
      END LOOP;
      RETURN v_low;
    END ${bodyQuote(schema)};`
}
