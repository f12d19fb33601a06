/** SQLSTATE of an error that the server sent (PostgreSQL manual, appendix A); `undefined`: it did not come from the server. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = error as { readonly code?: unknown; readonly severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' ? code : undefined
}
