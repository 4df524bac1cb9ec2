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
  it('prints the values of keys alone, and the password where it is asked for, so that other programs find the store', async () => {
    const env = { EVT_STORE: 'postgres://u:secret@host/db', EVT_GRACE: '5s' }
    expect(await show(env, 'store', '--reveal')).toMatchObject({ exit: 0, stdout: 'postgres://u:secret@host/db\n' })
    expect((await show(env, 'store', 'grace')).stdout).toBe('postgres://u:***@host/db\n5s\n')
    const { data } = JSON.parse((await show(env, 'store', '--reveal', '--json')).stdout)
    expect(data.settings).toEqual([{ key: 'store', value: env.EVT_STORE, origin: 'EVT_STORE' }])
    expect((await show({}, 'store')).stdout).toBe('embedded\n')
    expect(await show({}, 'store', '--reveal')).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('no embedded one runs'),
    })
    expect(await show({}, 'stoer')).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/no setting stoer[\s\S]*did you mean store/),
    })
    expect(await show(env, '--reveal')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('evt config show store --reveal'),
    })
  })
})
