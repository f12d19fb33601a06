/** Pieces of an article. */
export interface Goods {
  readonly article: string
  readonly quantity: number
}

/** What the warehouse is asked to do when somebody's place in the queue comes up. */
export type Step =
  /** Set these goods aside for an order, all or none. */
  | { readonly kind: 'reserve'; readonly id: string; readonly goods: readonly Goods[] }
  /** Put returned goods back on the shelves. */
  | { readonly kind: 'restock'; readonly id: string; readonly goods: readonly Goods[] }
  /** Take goods off the books that a count did not find; quantities are negative. */
  | { readonly kind: 'adjust'; readonly id: string; readonly goods: readonly Goods[] }
  /** Nothing: the payment was declined. */
  | { readonly kind: 'pass' }

/** What came of a step. */
export type Outcome =
  | { readonly kind: 'reserved'; readonly id: string; readonly pieces: number }
  | { readonly kind: 'rejected'; readonly id: string; readonly missing: readonly Missing[] }
  | { readonly kind: 'restocked'; readonly id: string; readonly pieces: number }
  | { readonly kind: 'adjusted'; readonly id: string; readonly pieces: number; readonly unaccounted: number }

/** An article of which an order wants more than there is. */
export interface Missing {
  readonly article: string
  readonly wanted: number
  readonly available: number
}

/**
 * The books of a warehouse, as JSON.
 *
 * Customers are served in the order in which they ordered: whose payment takes longer keeps its place, and whoever comes
 * behind waits. So what is sold out for whom depends on the orders alone, not on how fast anything was.
 *
 * State is copied and frozen whenever it is set. Steps that wait and racks are therefore JSON texts: a decision opens
 * the few that it needs, and the others cost nothing however many articles there are.
 */
export interface Warehouse {
  /** Pieces of an article that was never touched. */
  readonly stockPerArticle: number
  /** Place that is served next. */
  readonly nextPlace: number
  /** Steps that came before their turn: the n-th is for place `nextPlace + n`, empty if it has not come. */
  readonly waiting: readonly string[]
  /** Pieces of each article that was touched, by {@link shelfOf}, in racks by a hash of the article. */
  readonly racks: readonly string[]
}

/** Articles on one rack share its cost: the bundled orders put 15 on each. */
const rackCount = 128

/** A warehouse in which every article is there in the same number. */
export function emptyWarehouse(stockPerArticle: number): Warehouse {
  return { stockPerArticle, nextPlace: 1, waiting: [], racks: Array<string>(rackCount).fill('{}') }
}

/**
 * Takes a step in, and carries out all whose turn it now is.
 *
 * @example
 * ```ts
 * const { next, outcomes } = receive(warehouse, 1, { kind: 'reserve', id: '536365', goods })
 * ```
 */
export function receive(
  warehouse: Warehouse,
  place: number,
  step: Step,
): { readonly next: Warehouse; readonly outcomes: readonly Outcome[] } {
  const waiting = [...warehouse.waiting]
  const index = place - warehouse.nextPlace
  if (index < 0) return { next: warehouse, outcomes: [] }
  if (index > 0) {
    while (waiting.length <= index) waiting.push('')
    waiting[index] = JSON.stringify(step)
    return { next: { ...warehouse, waiting }, outcomes: [] }
  }
  const shelves = new Shelves(warehouse)
  const outcomes: Outcome[] = []
  let served = 0
  for (let turn: Step | undefined = step; turn !== undefined; turn = opened(waiting[served])) {
    served += 1
    const outcome = carryOut(turn, shelves)
    if (outcome !== undefined) outcomes.push(outcome)
  }
  const nextPlace = place + served
  return { next: { ...warehouse, nextPlace, waiting: waiting.slice(served), racks: shelves.close() }, outcomes }
}

function opened(text: string | undefined): Step | undefined {
  return text === undefined || text === '' ? undefined : (JSON.parse(text) as Step)
}

/** Pieces on the shelves of every article that was touched, by {@link shelfOf}. */
export function stockOf(warehouse: Warehouse): Readonly<Record<string, number>> {
  return Object.assign({}, ...warehouse.racks.map((rack) => JSON.parse(rack) as Rack)) as Rack
}

/** How many articles have less than nothing on their shelves: none, unless the warehouse is wrong. */
export function countViolations(warehouse: Warehouse): number {
  return Object.values(stockOf(warehouse)).filter((pieces) => pieces < 0).length
}

/** Key of an article on its rack. The mark keeps articles such as `constructor` from being special. */
export function shelfOf(article: string): string {
  return `#${article}`
}

type Rack = Record<string, number>

/** Racks that are opened when they are first looked at. */
class Shelves {
  readonly #warehouse: Warehouse
  readonly #open = new Map<number, Rack>()
  readonly #changed = new Set<number>()

  constructor(warehouse: Warehouse) {
    this.#warehouse = warehouse
  }

  pieces(article: string): number {
    return this.#rack(rackOf(article))[shelfOf(article)] ?? this.#warehouse.stockPerArticle
  }

  change(article: string, pieces: number): void {
    const index = rackOf(article)
    this.#rack(index)[shelfOf(article)] = this.pieces(article) + pieces
    this.#changed.add(index)
  }

  close(): readonly string[] {
    if (this.#changed.size === 0) return this.#warehouse.racks
    const racks = [...this.#warehouse.racks]
    for (const index of this.#changed) racks[index] = JSON.stringify(this.#rack(index))
    return racks
  }

  #rack(index: number): Rack {
    let rack = this.#open.get(index)
    if (rack === undefined) {
      rack = JSON.parse(this.#warehouse.racks[index] ?? '{}') as Rack
      this.#open.set(index, rack)
    }
    return rack
  }
}

function rackOf(article: string): number {
  let hash = 0
  for (let index = 0; index < article.length; index++) hash = (Math.imul(hash, 31) + article.charCodeAt(index)) >>> 0
  return hash % rackCount
}

function carryOut(step: Step, shelves: Shelves): Outcome | undefined {
  switch (step.kind) {
    case 'reserve':
      return reserve(step.id, step.goods, shelves)
    case 'restock': {
      for (const { article, quantity } of step.goods) shelves.change(article, quantity)
      return { kind: 'restocked', id: step.id, pieces: piecesOf(step.goods) }
    }
    case 'adjust':
      return adjust(step.id, step.goods, shelves)
    case 'pass':
      return undefined
  }
}

function reserve(id: string, goods: readonly Goods[], shelves: Shelves): Outcome {
  // An order may name an article on several lines.
  const wanted = new Map<string, number>()
  for (const { article, quantity } of goods) wanted.set(article, (wanted.get(article) ?? 0) + quantity)
  const missing: Missing[] = []
  for (const [article, pieces] of wanted) {
    const available = shelves.pieces(article)
    if (pieces > available) missing.push({ article, wanted: pieces, available })
  }
  if (missing.length > 0) return { kind: 'rejected', id, missing }
  for (const [article, pieces] of wanted) shelves.change(article, -pieces)
  return { kind: 'reserved', id, pieces: piecesOf(goods) }
}

/** What is reported lost but was never on the books cannot leave them: it is counted apart. */
function adjust(id: string, goods: readonly Goods[], shelves: Shelves): Outcome {
  let pieces = 0
  for (const { article, quantity } of goods) {
    const taken = Math.min(-quantity, shelves.pieces(article))
    if (taken > 0) shelves.change(article, -taken)
    pieces += taken
  }
  return { kind: 'adjusted', id, pieces, unaccounted: -piecesOf(goods) - pieces }
}

/** Pieces of all articles together. */
export function piecesOf(goods: readonly Goods[]): number {
  return goods.reduce((sum, { quantity }) => sum + quantity, 0)
}
