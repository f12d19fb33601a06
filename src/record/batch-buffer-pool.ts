/** Options of a {@link BatchBufferPool}. */
export interface BatchBufferPoolOptions {
  /** Unused buffers kept for later, in bytes; what is released beyond it is dropped. Default 16 MiB. */
  readonly pooledBytesMax?: number
}

const smallestBytes = 16 * 1024

/**
 * Keeps the buffers of record batches for the next batch, so that steady publishing allocates nothing large.
 *
 * Each buffer owns its whole `ArrayBuffer` and may therefore be transferred to another thread and back.
 */
export class BatchBufferPool {
  readonly #pooledBytesMax: number
  /** Unused buffers by size; sizes are 16 KiB times a power of two. */
  readonly #unused = new Map<number, Buffer<ArrayBuffer>[]>()
  #pooledBytes = 0

  constructor(options: BatchBufferPoolOptions = {}) {
    this.#pooledBytesMax = options.pooledBytesMax ?? 16 * 1024 * 1024
  }

  /** Bytes of unused buffers that are held now. */
  get pooledBytes(): number {
    return this.#pooledBytes
  }

  /** A buffer with at least `bytesMin` bytes of arbitrary content, which belongs to the caller until it is released. */
  acquire(bytesMin: number): Buffer<ArrayBuffer> {
    let bytes = smallestBytes
    while (bytes < bytesMin) bytes *= 2
    const buffer = this.#unused.get(bytes)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(bytes)
    this.#pooledBytes -= bytes
    return buffer
  }

  /**
   * Takes a buffer back, once, when nothing reads it any more. A sealed batch stands for the buffer that it lies in. What
   * did not come from a pool, or lies in another thread now, is ignored.
   */
  release(batch: Uint8Array): void {
    const { buffer } = batch
    const bytes = buffer.byteLength
    const isSizeOfPool = bytes >= smallestBytes && Number.isInteger(Math.log2(bytes / smallestBytes))
    if (!isSizeOfPool || !(buffer instanceof ArrayBuffer) || this.#pooledBytes + bytes > this.#pooledBytesMax) return
    const sameSize = this.#unused.get(bytes)
    if (sameSize === undefined) this.#unused.set(bytes, [Buffer.from(buffer)])
    else sameSize.push(Buffer.from(buffer))
    this.#pooledBytes += bytes
  }
}
