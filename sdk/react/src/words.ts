/** What the dialog says, in three languages. */

export type Locale = 'en' | 'zh-CN' | 'zh-TW';

export interface Labels {
  title: string;
  checking: string;
  enough: string;
  short: string;
  failed: string;
  signedOut: string;
  disabled: string;
  model: string;
  balance: string;
  estimated: string;
  shortfall: string;
  proceed: string;
  cancel: string;
  close: string;
  topUp: string;
  again: string;
}

export const LABELS: Readonly<Record<Locale, Labels>> = {
  en: {
    title: 'Points for this request',
    checking: 'Checking your points…',
    enough: 'You have enough points.',
    short: 'You do not have enough points.',
    failed: 'Your points can not be checked right now.',
    signedOut: 'Sign in to use your points.',
    disabled: 'Points are switched off here at the moment. Ask whoever runs this site.',
    model: 'Model',
    balance: 'Your balance',
    estimated: 'Estimated cost',
    shortfall: 'Missing',
    proceed: 'Continue',
    cancel: 'Cancel',
    close: 'Close',
    topUp: 'Top up',
    again: 'Check again',
  },
  'zh-CN': {
    title: '本次请求的积分',
    checking: '正在检查积分…',
    enough: '积分充足。',
    short: '积分不足。',
    failed: '暂时无法检查积分。',
    signedOut: '请先登录再使用积分。',
    disabled: '此处暂未启用积分功能，请联系管理员。',
    model: '模型',
    balance: '当前余额',
    estimated: '预计消耗',
    shortfall: '还差',
    proceed: '继续',
    cancel: '取消',
    close: '关闭',
    topUp: '去充值',
    again: '重新检查',
  },
  'zh-TW': {
    title: '本次請求的點數',
    checking: '正在檢查點數…',
    enough: '點數充足。',
    short: '點數不足。',
    failed: '目前無法檢查點數。',
    signedOut: '請先登入再使用點數。',
    disabled: '此處尚未啟用點數功能，請聯絡管理員。',
    model: '模型',
    balance: '目前餘額',
    estimated: '預估消耗',
    shortfall: '尚差',
    proceed: '繼續',
    cancel: '取消',
    close: '關閉',
    topUp: '前往儲值',
    again: '重新檢查',
  },
};

/** The page's language, else the browser's. */
export function preferredLocale(): Locale {
  if (typeof document === 'undefined') return 'en';
  return localeOf(document.documentElement.lang || navigator.language);
}

export function localeOf(language: string): Locale {
  const name = language.toLowerCase();
  if (!/^zh\b/.test(name)) return 'en';
  return /hant|tw|hk|mo/.test(name) ? 'zh-TW' : 'zh-CN';
}
