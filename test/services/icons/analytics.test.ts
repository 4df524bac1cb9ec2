import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AnalyticsService, createAnalyticsService } from '../../../src/services/icons/analytics.ts'
import { at, complement, type IconsDatabase, openIconsDatabase } from './icons-database.ts'

let icons: IconsDatabase
let analytics: AnalyticsService
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const [ada, bob, cy] = [id(1), id(2), id(3)]
const minute = 60
const moment = at(60 * minute)

async function write(document: number, user_id: string, second: number, content: string): Promise<void> {
  const document_data = { title: 'Plan', content, is_public: false, created_at: at(0), updated_at: at(second) }
  const data = { document_id: id(document), user_id, document_data, changes: [] }
  for (const { error } of await icons.handle(complement({ type: 'document.updated', time: at(second), data })))
    expect(error).toBeUndefined()
}

async function session(type: string, user_id: string, n: number, second: number): Promise<void> {
  const auth_data = { session_id: id(n), ip: '10.0.0.1', user_agent: 'test' }
  await icons.handle(complement({ type, time: at(second), data: { user_id, auth_data } }))
}

beforeAll(async () => {
  icons = await openIconsDatabase()
  analytics = createAnalyticsService(icons.store)
  await session('auth.login', ada, 101, 0)
  await session('auth.login', ada, 102, 30 * minute)
  await session('auth.login', bob, 103, 40 * minute)
  await session('auth.logout', bob, 103, 50 * minute)
  await write(11, ada, 5 * minute, ':home: :home: :star:')
  await write(12, bob, 10 * minute, ':bell: :bell: :bell: :bell:')
  await write(11, ada, 40 * minute, ':home: :home: :star: :star:')
  await write(13, ada, 55 * minute, ':star: :star: :star: :map:')
  await write(13, ada, 55 * minute, ':star: :star: :star: :map:')
  await write(14, cy, 58 * minute, ':home:')
})
afterAll(() => icons[Symbol.asyncDispose]())

describe('analytics of icons', () => {
  it('show live usage across the sessions that are open', async () => {
    const live = await analytics.liveUsage()
    expect(live).toMatchObject({ sessions: 2, users: 1 })
    expect(live.busiest).toEqual([
      { sessionId: id(101), userId: ada, documents: 2, uses: 11, icons: ['home', 'map', 'star'] },
      { sessionId: id(102), userId: ada, documents: 2, uses: 8, icons: ['home', 'map', 'star'] },
    ])
  })

  it('rank icons by use, what is recent before what is long ago', async () => {
    const popular = await analytics.popular({ at: moment })
    expect(popular.map(({ icon, uses }) => [icon, uses])).toEqual([
      ['star', 6],
      ['home', 5],
      ['bell', 4],
      ['map', 1],
    ])
    expect(popular[1]).toMatchObject({ documents: 2, users: 2 })
    expect((await analytics.popular({ at: moment, minutes: 15, limit: 1 }))[0]).toMatchObject({ icon: 'star', uses: 3 })
    expect(await analytics.popular({ at: at(-minute) })).toEqual([])
  })

  it('add up by the hour', async () => {
    expect(await analytics.byHour({ at: moment })).toEqual(
      ['star', 'home', 'bell', 'map'].map((icon) => ({ icon, hour: '2025-11-21T08:00Z', uses: expect.any(Number) })),
    )
  })

  it('tell how each user works', async () => {
    const [first, second] = await analytics.behaviour({ at: moment })
    expect(first).toEqual({
      ...{ userId: ada, documents: 2, uses: 11, variety: 3 / 11 },
      ...{ favourites: ['star', 'home', 'map'], busiestHour: 8, sessions: 2 },
    })
    expect(second).toMatchObject({ userId: bob, favourites: ['bell'], sessions: 1 })
  })

  it('find what rises and what falls', async () => {
    const trends = await analytics.trends({ at: moment })
    expect(trends.map(({ icon, direction }) => [icon, direction])).toEqual([
      ['bell', 'falling'],
      ['star', 'rising'],
      ['map', 'rising'],
      ['home', 'steady'],
    ])
    expect(trends[0]).toMatchObject({ before: 4, now: 0, factor: 0.2 })
  })

  it('say which icons to keep hot, which to fetch and which to let go', async () => {
    const advice = await analytics.cacheAdvice({ at: moment, capacity: 2, cached: ['home', 'zap', 'bell'] })
    expect(advice).toMatchObject({ keep: ['star', 'home'], warm: ['star'], evict: ['zap', 'bell'] })
    expect(advice.hitRatio).toBeGreaterThan(0.6)
    expect(await analytics.cacheAdvice({ at: moment, capacity: 0 })).toEqual({
      ...{ keep: [], warm: [], evict: [], hitRatio: 0 },
    })
    expect(await analytics.cacheAdvice({ at: at(-minute), capacity: 5, cached: ['home'] })).toEqual({
      ...{ keep: [], warm: [], evict: ['home'], hitRatio: 0 },
    })
  })

  it('have nothing of a user who has left, and nothing older than 30 days of a document that lives', async () => {
    const kept = async (user: string) =>
      (await icons.rows('select distinct icon from icons.usage_minutes where user_id = $1 order by 1', user)).map(
        ({ icon }) => icon,
      )
    const user_data = {
      email: 'cy@example.com',
      name: 'Cy',
      plan: 'free',
      role: 'viewer',
      country: 'GB',
      is_active: true,
    }
    const data = { user_id: cy, user_data: { ...user_data, created_at: at(0), updated_at: at(0) } }
    await icons.handle(complement({ type: 'user.deleted', time: at(59 * minute), data }))
    expect(await kept(cy)).toEqual([])
    await write(12, bob, 40 * 24 * 60 * minute, ':lock:')
    expect(await kept(bob)).toEqual(['lock'])
  })
})
