import type { Store } from '../../src/store/connection.ts'
import { acquireLease, releaseLease } from '../../src/store/lease.ts'
import { tick } from '../../src/store/sequencer.ts'

/** Gives positions to all that is committed, as a bridge would. */
export async function sequence(store: Store): Promise<void> {
  const lease = await acquireLease(store, 'test', 60_000)
  if (!lease) throw new Error('somebody else leads here')
  while ((await tick(store, lease.epoch, 1_000)).more);
  await releaseLease(store, lease)
}
