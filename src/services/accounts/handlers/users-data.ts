import { dataHolder } from '../data-holder.ts'

export const usersData = dataHolder({ service: 'users', tables: ['profiles', 'preferences'] })
