/**
 * Loads the peer `pg`, in the shape in which the caller uses it.
 * @throws what `missing` makes of its absence
 */
export async function loadPg<Module>(missing: (options: ErrorOptions) => Error): Promise<Module> {
  try {
    const loaded = (await import('pg')) as unknown as { readonly default: Module }
    return loaded.default
  } catch (cause) {
    throw missing({ cause })
  }
}
