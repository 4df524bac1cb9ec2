// Archives today's partition of the class default, again and again, until it is killed: `node archiving.ts <url> <directory>`.
import { rm } from 'node:fs/promises'
import { archivePartition } from '../../src/store/archive.ts'
import { openStore } from '../../src/store/connection.ts'

const [url = '', directory = ''] = process.argv.slice(2)
const store = await openStore(url, { applicationName: 'archiving', max: 2 })
for (;;) {
  await rm(directory, { recursive: true, force: true })
  await store.query('delete from evt.archives')
  await archivePartition(store, { class: 'default', day: new Date().toISOString().slice(0, 10), directory })
}
