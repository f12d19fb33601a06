import type { NamedStatement } from './statements.ts'

/** The statements of {@link EventLog}. */
export type EventStatements = Readonly<
  Record<
    | 'allForward'
    | 'allBackward'
    | 'queryForward'
    | 'queryBackward'
    | 'streamForward'
    | 'streamBackward'
    | 'lastPosition'
    | 'describe'
    | 'list'
    | 'remove'
    | 'placeAtTime'
    | 'addTags',
    NamedStatement
  >
>

/** `schema` is a quoted identifier. */
export function eventStatements(schema: string): EventStatements {
  const columns = 'e.position, e.version, e.time_ms, e.labels, e.bytes'
  const all = (bound: string, order: string): string => `
    SELECT ${columns}, s.name AS stream FROM ${schema}.event AS e JOIN ${schema}.stream AS s ON s.id = e.stream_id
    WHERE e.position ${bound} $1::bigint ORDER BY e.position ${order} LIMIT $2`
  const query = (isForward: boolean): string => `
    SELECT ${columns}, s.name AS stream FROM ${schema}.event AS e JOIN ${schema}.stream AS s ON s.id = e.stream_id
    WHERE e.position = ANY (${schema}.event_positions($1::jsonb, $2::bigint, ${isForward}, $3::integer))
    ORDER BY e.position ${isForward ? 'ASC' : 'DESC'} LIMIT $3::integer`
  const stream = (bound: string, order: string): string => `
    SELECT ${columns}, s.name AS stream FROM ${schema}.stream AS s JOIN ${schema}.event AS e ON e.stream_id = s.id
    WHERE s.name = $1 AND e.version ${bound} $2::bigint
      AND ($3::text = '[]' OR ${schema}.labels_match($3::jsonb, e.labels))
    ORDER BY e.version ${order} LIMIT $4`
  const description = 'name, version, truncated_before, deleted_at, is_tombstoned'
  return {
    allForward: { name: 'millrace_all_forward', text: all('>=', 'ASC') },
    allBackward: { name: 'millrace_all_backward', text: all('<=', 'DESC') },
    queryForward: { name: 'millrace_query_forward', text: query(true) },
    queryBackward: { name: 'millrace_query_backward', text: query(false) },
    streamForward: { name: 'millrace_stream_forward', text: stream('>=', 'ASC') },
    streamBackward: { name: 'millrace_stream_backward', text: stream('<=', 'DESC') },
    lastPosition: { name: 'millrace_last_position', text: `SELECT last_position FROM ${schema}.event_head` },
    describe: {
      name: 'millrace_stream',
      text: `SELECT ${description} FROM ${schema}.stream WHERE name = $1`,
    },
    list: {
      name: 'millrace_streams',
      text: `SELECT ${description} FROM ${schema}.stream
        WHERE name > $1 AND name >= $2 AND name >= $3 AND starts_with(name, $3) ORDER BY name LIMIT $4`,
    },
    remove: {
      name: 'millrace_remove_events',
      text: `SELECT ${schema}.remove_events($1, $2, $3, $4) AS is_found`,
    },
    addTags: {
      name: 'millrace_add_tags',
      // One after the other with commits, and with what removes events.
      text: `WITH head AS MATERIALIZED (SELECT last_position FROM ${schema}.event_head FOR NO KEY UPDATE),
        given AS (SELECT (one->>0)::bigint AS position,
          ARRAY(SELECT label COLLATE "C" FROM jsonb_array_elements_text(one->1) AS label) AS labels
          FROM head, jsonb_array_elements($1::jsonb) AS one),
        changed AS (UPDATE ${schema}.event AS e
          SET labels = e.labels || ARRAY(SELECT label FROM unnest(given.labels) AS label WHERE label <> ALL (e.labels))
          FROM given WHERE e.position = given.position AND NOT e.labels @> given.labels RETURNING e.position),
        linked AS (INSERT INTO ${schema}.event_label (label, position)
          SELECT label, position FROM changed JOIN given USING (position), unnest(given.labels) AS label
          ON CONFLICT DO NOTHING)
        SELECT count(*) AS count FROM changed`,
    },
    placeAtTime: { name: 'millrace_place_at_time', text: `SELECT ${schema}.place_at_time($1, $2) AS place` },
  }
}
