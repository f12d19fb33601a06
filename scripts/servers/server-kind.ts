/** Tells people what happens; one line without a full stop. */
export type Report = (line: string) => void

/** Where one node of a server lives. */
export interface NodePlace {
  /** From 1. */
  readonly number: number
  /** Its files; what is in `dataFolder` outlives restarts. */
  readonly folder: string
  readonly dataFolder: string
  readonly logPath: string
  /** First of the ten ports that are its own, on 127.0.0.1. */
  readonly port: number
}

/** Where a server, with all its nodes, lives. */
export interface ServerPlace {
  readonly name: string
  readonly folder: string
  /** What was downloaded and generated for all servers: programs and certificates. */
  readonly installedFolder: string
  readonly nodes: readonly NodePlace[]
  /** Settings of every node, as the server's own file has them; they go before those of the kind. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether the nodes are to start quickly rather than to run fast later. */
  readonly isBrief?: boolean
}

/** What was brought to this machine to run a server. */
export interface Installation {
  /** Folders of what was downloaded. */
  readonly folders: readonly string[]
  /** Programs whose Debian packages, and what these depend on, belong to it too. */
  readonly programs: readonly string[]
}

/** How the process of a node is started. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly gid?: number
}

/**
 * What there is to know about one kind of server. The frame (`server.ts`, `server-node.ts`) does the rest: folders, locks,
 * processes, waiting, status. A further server is one file that exports one of these, and a line in `kinds.ts`.
 *
 * @typeParam Connection What a program needs to connect; plain data, as `--json` prints it.
 */
export interface ServerKind<Connection extends object = object> {
  /** As on the command line. */
  readonly name: string
  /** Distance of its first port from the port base; each kind has 100 ports, each node ten of them. */
  readonly portOffset: number
  /** The ports of a node that must be free before it starts, as distances from its first one. */
  readonly portsUsed: readonly number[]
  readonly nodeCountMax: number
  /** How long a node may take until it answers. */
  readonly startTimeoutMs: number
  /** Asks the process to end in good order. */
  readonly stopSignal: NodeJS.Signals
  /** How long that may take before the process is killed. */
  readonly stopTimeoutMs: number
  /** Brings the programs. Called before each start, with a lock on all that is installed: quick if all is there. */
  install(installedFolder: string, report: Report): Promise<void>
  /** What {@link install} brought, or found. */
  installation(installedFolder: string): Promise<Installation>
  /** Writes settings and, once, the empty data of each node. Called before each start of stopped nodes. */
  prepare(place: ServerPlace, report: Report): Promise<void>
  launch(place: ServerPlace, node: NodePlace): Promise<Launch>
  /** Asks one node something in its own protocol; rejects while it does not answer. */
  probe(place: ServerPlace, node: NodePlace): Promise<void>
  /** Called when all nodes answer; rejects while they do not yet work together. Creates, once, what programs expect. */
  complete(place: ServerPlace): Promise<void>
  connection(place: ServerPlace): Connection
  /** The lines that a person reads. */
  describe(connection: Connection): readonly string[]
}
