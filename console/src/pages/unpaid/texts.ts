// Texts of what waits for money or for somebody's word.

import { defineTexts } from '../../i18n/language';
import { plural } from '../../i18n/plural';

export const unpaidTexts = defineTexts(
  {
    title: 'Unpaid and review',
    lead: 'Uses that there was no money for, and charges so large that somebody has to look first. Nothing was taken for them yet.',
    unpaid: 'Unpaid',
    review: 'Held for review',
    noUnpaid: 'Nobody owes anything',
    noUnpaidHint: 'When a balance is too small for a use, the use stands here until it is charged.',
    noReview: 'Nothing waits for you',
    noReviewHint: 'Charges above the largest single charge stand here until you decide.',
    settleMany: (count: number) =>
      plural(
        count,
        'Charge 1 unpaid use now, at the price of its time?',
        `Charge ${count} unpaid uses now, at the prices of their time?`,
      ),
    approveMany: (count: number) =>
      plural(count, 'Approve and charge 1 charge?', `Approve and charge ${count} charges?`),
    rejectMany: (count: number) =>
      plural(count, 'Never charge this use?', `Never charge these ${count} uses?`),
  },
  {
    title: '欠费与审核',
    lead: '余额不足的使用，以及金额过大、需人工确认的扣费。目前都还没有扣除积分。',
    unpaid: '未支付',
    review: '待审核',
    noUnpaid: '没有欠费',
    noUnpaidHint: '余额不足以支付某次使用时，该笔会留在这里，直到扣费为止。',
    noReview: '没有待审核的扣费',
    noReviewHint: '超过单笔上限的扣费会留在这里，等待您决定。',
    settleMany: (count: number) => `按使用当时的价格，立即对 ${count} 笔欠费扣费？`,
    approveMany: (count: number) => `批准并扣除这 ${count} 笔？`,
    rejectMany: (count: number) => `不再收取这 ${count} 笔？`,
  },
  {
    title: '欠點與審核',
    lead: '餘額不足的使用，以及金額過大、需人工確認的扣點。目前都還沒有扣除點數。',
    unpaid: '未支付',
    review: '待審核',
    noUnpaid: '沒有欠點',
    noUnpaidHint: '餘額不足以支付某次使用時，該筆會留在這裡，直到扣點為止。',
    noReview: '沒有待審核的扣點',
    noReviewHint: '超過單筆上限的扣點會留在這裡，等候您決定。',
    settleMany: (count: number) => `按使用當時的價格，立即對 ${count} 筆欠點扣點？`,
    approveMany: (count: number) => `核准並扣除這 ${count} 筆？`,
    rejectMany: (count: number) => `不再收取這 ${count} 筆？`,
  },
);
