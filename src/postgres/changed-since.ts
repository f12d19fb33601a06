/**
 * The condition that the transaction in a column is one which a snapshot, a parameter, did not see and this statement does.
 *
 * A schema that was restored from a dump, on another server, has rows of transactions that are still to come there: these
 * are no changes, or they would be told again and again until the server had come so far.
 */
export function isChangedSince(column: string, snapshot: string): string {
  return `${column} >= pg_snapshot_xmin(${snapshot}::pg_snapshot) AND ${column} < pg_snapshot_xmax(pg_current_snapshot())
    AND NOT pg_visible_in_snapshot(${column}, ${snapshot}::pg_snapshot)`
}
