/** Asks for the next item while the caller works on the last one: at most one lies ready. */
export async function* readAhead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (let coming = iterator.next(); ; ) {
      const { done, value } = await coming
      if (done) return
      coming = iterator.next()
      // It is awaited in the next turn, if there is one; until then a failure has nobody to go to.
      coming.catch(() => {})
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}
