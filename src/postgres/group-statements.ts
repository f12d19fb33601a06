import type { NamedStatement } from './statements.ts'

/** Each statement of {@link GroupStore}. */
type StatementKey =
  | 'newId'
  | 'join'
  | 'read'
  | 'apply'
  | 'wantNothing'
  | 'beat'
  | 'look'
  | 'startOf'
  | 'list'
  | 'members'
  | 'progress'
  | 'reset'
  | 'forget'

/** The statements of {@link GroupStore}; `schema` is a quoted identifier. */
export function groupStatements(schema: string): Readonly<Record<StatementKey, NamedStatement>> {
  /** Everything that changes a group begins with its row, so that none waits for another in a circle. */
  const taken = `grp AS (UPDATE ${schema}.consumer_group SET generation = generation + 1
    WHERE name = $1 AND generation = $2 RETURNING name)`
  /** The change leaves its id behind, if it was made. */
  const noted = (id: string): string => `noted AS (INSERT INTO ${schema}.change (id) SELECT ${id} FROM grp)`
  const lives = 'lease_until >= clock_timestamp()'
  return {
    newId: { name: 'millrace_member_id', text: 'SELECT gen_random_uuid() AS id' },
    join: {
      name: 'millrace_group_join',
      // Once: a first run that comes late must not bring back a member that has left.
      text: `WITH made AS (INSERT INTO ${schema}.change (id) VALUES ($8) ON CONFLICT DO NOTHING RETURNING id),
        grp AS (INSERT INTO ${schema}.consumer_group AS mine (name, generation) SELECT $2::text, 1 FROM made
          ON CONFLICT (name) DO UPDATE SET generation = mine.generation + 1 RETURNING name)
        INSERT INTO ${schema}.member (id, group_name, instance_id, topics, start_at, session_timeout_ms, together, lease_until)
        SELECT $1::uuid, grp.name, $3::uuid, $4::text[], $5, $6::bigint, $7::text,
          clock_timestamp() + $6::bigint * interval '1 millisecond' FROM grp
        ON CONFLICT (id) DO NOTHING`,
    },
    read: {
      name: 'millrace_group_read',
      text: `SELECT generation, catalog_version,
          (SELECT coalesce(json_agg(json_build_object('id', id, 'topics', topics, 'together', together,
            'isExpired', NOT ${lives})
            ORDER BY joined_number), '[]')::text FROM ${schema}.member WHERE group_name = $1) AS members,
          (SELECT coalesce(json_agg(json_build_object('partitionId', partition_id, 'epoch', epoch, 'memberId', member_id,
            'isRevoking', is_revoking)), '[]')::text FROM ${schema}.claim WHERE group_name = $1) AS claims,
          (SELECT coalesce(json_agg(json_build_array(partition.id, topic.name, number) ORDER BY partition.id), '[]')::text
            FROM ${schema}.topic JOIN ${schema}.partition ON topic_id = topic.id AND NOT is_deleted
            WHERE topic.name IN (SELECT unnest(topics) FROM ${schema}.member WHERE group_name = $1)) AS partitions
        FROM ${schema}.consumer_group, ${schema}.meta WHERE name = $1`,
    },
    apply: {
      name: 'millrace_group_apply',
      // Commits lock claims in the order of their key too.
      text: `WITH ${taken},
        gone AS (DELETE FROM ${schema}.member USING grp WHERE group_name = grp.name AND id = ANY ($3::uuid[])),
        put AS (INSERT INTO ${schema}.claim (group_name, partition_id, epoch, member_id, is_revoking)
          SELECT grp.name, one.* FROM grp, unnest($4::bigint[], $5::bigint[], $6::uuid[], $7::boolean[])
            AS one (partition_id, epoch, member_id, is_revoking) ORDER BY one.partition_id
          ON CONFLICT (group_name, partition_id) DO UPDATE
            SET epoch = excluded.epoch, member_id = excluded.member_id, is_revoking = excluded.is_revoking)
        SELECT name FROM grp`,
    },
    wantNothing: {
      name: 'millrace_group_want_nothing',
      text: `WITH grp AS (UPDATE ${schema}.consumer_group SET generation = generation + 1 WHERE name = $1 RETURNING name)
        UPDATE ${schema}.member SET topics = '{}' FROM grp WHERE id = $2 AND group_name = grp.name`,
    },
    beat: {
      name: 'millrace_group_beat',
      text: `UPDATE ${schema}.member
        SET lease_until = greatest(lease_until, clock_timestamp() + one.ms * interval '1 millisecond')
        FROM unnest($1::uuid[], $2::double precision[]) AS one (id, ms) WHERE member.id = one.id`,
    },
    look: {
      name: 'millrace_group_look',
      text: `SELECT name, generation, catalog_version,
          EXISTS (SELECT FROM ${schema}.member WHERE group_name = name AND NOT ${lives}) AS has_expired
        FROM ${schema}.consumer_group, ${schema}.meta WHERE name = ANY ($1::text[])`,
    },
    startOf: {
      name: 'millrace_group_start',
      text: `WITH place AS (
          SELECT id, start_offset, CASE WHEN $3::boolean THEN next_offset ELSE start_offset END AS start
          FROM ${schema}.partition WHERE id = ANY ($2::bigint[]) AND NOT is_deleted),
        put AS (INSERT INTO ${schema}.progress (group_name, partition_id, done)
          SELECT $1, id, CASE WHEN start = 0 THEN '{}' ELSE int8multirange(int8range(0, start)) END FROM place
          ON CONFLICT DO NOTHING)
        SELECT place.id, place.start_offset, place.start, progress.done::text AS done FROM place
        LEFT JOIN ${schema}.progress ON group_name = $1 AND partition_id = place.id`,
    },
    list: {
      name: 'millrace_group_list',
      text: `SELECT group_name AS name FROM ${schema}.progress
          JOIN ${schema}.partition ON partition.id = partition_id AND NOT is_deleted
        UNION SELECT group_name FROM ${schema}.member WHERE ${lives} ORDER BY name`,
    },
    members: {
      name: 'millrace_group_members',
      text: `SELECT id::text AS id, (
          SELECT coalesce(json_agg(json_build_array(topic.name, number, epoch) ORDER BY topic.name, number), '[]')::text
          FROM ${schema}.claim JOIN ${schema}.partition ON partition.id = partition_id AND NOT is_deleted
            JOIN ${schema}.topic ON topic.id = topic_id
          WHERE claim.group_name = $1 AND member_id = member.id) AS claims
        FROM ${schema}.member WHERE group_name = $1 AND ${lives} ORDER BY joined_number`,
    },
    progress: {
      name: 'millrace_group_progress',
      text: `SELECT partition.id, topic.name AS topic, number, start_offset, next_offset, done::text AS done
        FROM ${schema}.progress JOIN ${schema}.partition ON partition.id = partition_id AND NOT is_deleted
          JOIN ${schema}.topic ON topic.id = topic_id
        WHERE group_name = $1 ORDER BY topic.name, number`,
    },
    reset: {
      name: 'millrace_group_reset',
      text: `WITH ${taken}, ${noted('$5')},
        put AS (INSERT INTO ${schema}.progress (group_name, partition_id, done)
          SELECT grp.name, one.id, CASE WHEN one.next = 0 THEN '{}' ELSE int8multirange(int8range(0, one.next)) END
          FROM grp, unnest($3::bigint[], $4::bigint[]) AS one (id, next)
          ON CONFLICT (group_name, partition_id) DO UPDATE SET done = excluded.done)
        SELECT name FROM grp`,
    },
    forget: {
      name: 'millrace_group_forget',
      // Claims stay without owners: an epoch that was there once must not come again.
      text: `WITH ${taken}, ${noted('$3')}, gone AS (DELETE FROM ${schema}.progress USING grp WHERE group_name = grp.name)
        SELECT name FROM grp`,
    },
  }
}
