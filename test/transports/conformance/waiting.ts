import { setTimeout as delay } from 'node:timers/promises'

/** Waits until the condition holds; fails with its name when that takes longer than the deadline. */
export async function until(
  name: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${name}`)
    await delay(5)
  }
}

/** Watches for a while that something does not happen. The only place where the suite lets time pass. */
export async function never(name: string, condition: () => boolean, forMs = 300): Promise<void> {
  const deadline = performance.now() + forMs
  while (performance.now() < deadline) {
    if (condition()) throw new Error(`happened: ${name}`)
    await delay(10)
  }
}
