// Texts of the sign-in page.

import { defineTexts } from '../i18n/language';

export const signInTexts = defineTexts(
  {
    title: 'Sign in',
    lead: 'One gate for every token.',
    expired: 'Your session has ended. Sign in again to go on where you were.',
    withPassword: 'Account',
    withToken: 'Admin token',
    name: 'E-mail or user id',
    password: 'Password',
    token: 'Admin token',
    tokenHint:
      'It was printed at the first start and is kept in the file admin-token of the data folder. This tab forgets it when it is closed.',
    enter: 'Sign in',
    withProvider: 'Sign in with single sign-on',
    notSignedIn: 'Single sign-on did not sign you in, or it took too long. Please try again.',
    notAllowed: 'Your account is not allowed in here. Please ask an administrator.',
    needed: 'Please fill this in',
  },
  {
    title: '登录',
    lead: '一道门，管好每一个 token。',
    expired: '会话已结束。重新登录后可继续之前的操作。',
    withPassword: '账户',
    withToken: '管理令牌',
    name: '邮箱或用户 ID',
    password: '密码',
    token: '管理令牌',
    tokenHint:
      '首次启动时会打印它，并保存在数据目录的 admin-token 文件中。关闭此标签页后即被忘记。',
    enter: '登录',
    withProvider: '使用单点登录',
    notSignedIn: '单点登录未成功，或耗时太久。请重试。',
    notAllowed: '您的账户无权登录此处，请联系管理员。',
    needed: '请填写此项',
  },
  {
    title: '登入',
    lead: '一道門，管好每一個 token。',
    expired: '工作階段已結束。重新登入後可繼續先前的操作。',
    withPassword: '帳戶',
    withToken: '管理權杖',
    name: '電子郵件或使用者 ID',
    password: '密碼',
    token: '管理權杖',
    tokenHint: '首次啟動時會印出它，並保存在資料夾的 admin-token 檔案中。關閉此分頁後即被忘記。',
    enter: '登入',
    withProvider: '使用單一登入',
    notSignedIn: '單一登入未成功，或耗時太久。請再試一次。',
    notAllowed: '您的帳戶無權登入此處，請洽管理員。',
    needed: '請填寫此欄',
  },
);
