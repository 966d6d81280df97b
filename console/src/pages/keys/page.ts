import { KeyOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'keys',
  title: { en: 'Keys', 'zh-CN': '密钥', 'zh-TW': '金鑰' },
  icon: KeyOutlined,
  group: 'access',
  order: 10,
  need: 'read',
  load: () => import('./Keys'),
});
