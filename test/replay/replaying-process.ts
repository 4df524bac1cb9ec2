// Runs the replay `r1` of `killed.test.ts`: `node replaying-process.ts <URL>`, until it is killed or done.
import { openStore } from '../../src/store/connection.ts'
import { findReplay, type Replay } from '../../src/store/replays.ts'
import { runOnce } from './history.ts'
import { slowly } from './slowly.ts'

const store = await openStore(process.argv[2] ?? '', { applicationName: 'test replaying', max: 8 })
await runOnce(store, (await findReplay(store, 'r1')) as Replay, [slowly])
await store.close()
