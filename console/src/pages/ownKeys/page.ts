import { IdcardOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'ownKeys',
  title: { en: 'My keys', 'zh-CN': '我的密钥', 'zh-TW': '我的金鑰' },
  icon: IdcardOutlined,
  group: 'mine',
  order: 30,
  need: 'member',
  load: () => import('./OwnKeys'),
});
