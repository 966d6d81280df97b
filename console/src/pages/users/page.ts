import { UserOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'users',
  title: { en: 'Users', 'zh-CN': '用户', 'zh-TW': '使用者' },
  icon: UserOutlined,
  group: 'access',
  order: 40,
  need: 'read',
  load: () => import('./Users'),
});
