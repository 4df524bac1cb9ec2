import { afterAll, describe, expect, it } from 'vitest'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())
const show = (env: Record<string, string>, ...words: string[]) =>
  runHere(['config', 'show', ...words], { cwd: nowhere.path, env })

describe('config show', () => {
  it('says where each value came from, and that the store is the embedded one when none is named', async () => {
    const { stdout } = await show({ EVT_RETRY_ATTEMPTS: '7' })
    expect(stdout).toMatch(/^KEY +VALUE +ORIGIN +MEANS/)
    expect(stdout).toMatch(/^store +embedded +default /m)
    expect(stdout).toMatch(/^retryAttempts +7 +EVT_RETRY_ATTEMPTS /m)
  })

  it('shows a store that is named without its password', async () => {
    const { stdout } = await show({ EVT_STORE: 'postgres://u:secret@host/db' }, '--json')
    const [store] = JSON.parse(stdout).data.settings
    expect(store).toMatchObject({ key: 'store', origin: 'EVT_STORE' })
    expect(store.value).toMatch(/^postgres:\/\/u:\*+@host\/db$/)
  })
})
