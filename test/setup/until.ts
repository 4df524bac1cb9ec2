export interface UntilOptions {
  /** Default 5,000 ms. */
  readonly withinMs?: number
  /** Says in the failure what was waited for. */
  readonly what?: string
}

/** Resolves with the first truthy value of `condition`; fails when there was none within the time. Polls every 5 ms. */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const withinMs = options.withinMs ?? 5_000
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) {
      throw new Error(`${options.what ?? condition.toString()} did not come true within ${withinMs} ms`)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
