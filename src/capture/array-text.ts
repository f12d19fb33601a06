/** An array of texts, in as many dimensions as it has. */
export type TextArray = readonly (string | null | TextArray)[]

/**
 * Reads an array as the server writes it (PostgreSQL manual, section 8.15.6): `{1,NULL,"a b"}`, `{{1},{2}}`. Bounds that do not
 * begin at 1 (`[0:1]={…}`) are passed over. `undefined`: it is none.
 */
export function parseArrayText(text: string): TextArray | undefined {
  const start = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  const parser = new ArrayParser(text, start)
  const array = parser.array()
  return array !== undefined && parser.isAtEnd ? array : undefined
}

const quote = '"'

class ArrayParser {
  readonly #text: string
  #at: number

  constructor(text: string, at: number) {
    this.#text = text
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length
  }

  array(): TextArray | undefined {
    if (this.#text[this.#at++] !== '{') return undefined
    const items: (string | null | TextArray)[] = []
    if (this.#text[this.#at] === '}') {
      this.#at++
      return items
    }
    for (;;) {
      const item = this.#item()
      if (item === undefined) return undefined
      items.push(item)
      const next = this.#text[this.#at++]
      if (next === '}') return items
      if (next !== ',') return undefined
    }
  }

  #item(): string | null | TextArray | undefined {
    const first = this.#text[this.#at]
    if (first === '{') return this.array()
    if (first === quote) return this.#quotedItem()
    let end = this.#at
    while (end < this.#text.length && this.#text[end] !== ',' && this.#text[end] !== '}') end++
    const item = this.#text.slice(this.#at, end)
    this.#at = end
    if (item === '') return undefined
    return item === 'NULL' ? null : item
  }

  #quotedItem(): string | undefined {
    let item = ''
    let from = ++this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === quote) {
        item += this.#text.slice(from, this.#at++)
        return item
      }
      if (char === '\\') {
        item += this.#text.slice(from, this.#at++)
        from = this.#at
      }
    }
    return undefined
  }
}
