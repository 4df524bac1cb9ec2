import { dataHolder } from '../data-holder.ts'

export const analyticsData = dataHolder({ service: 'analytics', tables: ['signups'] })
